import json
import time
import urllib.error
import urllib.request

from fivetran_connector_sdk import Connector, Logging as log, Operations as op

TRIES = 4
PAGE_SIZE = 50
DEMO_PAGES = 3


def schema(configuration: dict):
    return [{"table": "items", "primary_key": ["id"]}]


def demo_page(page: int):
    first = (page - 1) * PAGE_SIZE + 1
    items = [
        {"id": n, "name": f"item {n}", "tags": ["demo", page]}
        for n in range(first, first + PAGE_SIZE)
    ]
    return {"items": items, "next": page + 1 if page < DEMO_PAGES else None}


def fetch_page(configuration: dict, page: int):
    """Get one page; wait and try again when the server is busy."""
    if not configuration.get("base_url"):
        return demo_page(page)
    request = urllib.request.Request(f"{configuration['base_url']}?page={page}&limit={PAGE_SIZE}")
    if configuration.get("api_key"):
        request.add_header("Authorization", f"Bearer {configuration['api_key']}")
    for attempt in range(TRIES):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code not in (429, 500, 502, 503, 504) or attempt == TRIES - 1:
                raise
            log.warning(f"page {page}: status {error.code}, trying again")
            time.sleep(2**attempt)


def update(configuration: dict, state: dict):
    page = state.get("page", 1)
    while page:
        answer = fetch_page(configuration, page)
        for item in answer["items"]:
            op.upsert(table="items", data=item)
        log.info(f"page {page}: {len(answer['items'])} items")
        page = answer.get("next")
        # A sync that is cut off continues with this page; a complete one begins again with the first.
        op.checkpoint({"page": page} if page else {})


connector = Connector(update=update, schema=schema)

if __name__ == "__main__":
    connector.debug(configuration={"base_url": "", "api_key": ""})

from fivetran_connector_sdk import Connector, Logging as log, Operations as op


def schema(configuration: dict):
    return [{"table": "events", "primary_key": ["id"]}]


def read_events(after: int, count: int):
    """Stands for your source: the next events after an id, oldest first."""
    for number in range(after + 1, after + 1 + count):
        yield {"id": number, "name": f"event {number}"}


def update(configuration: dict, state: dict):
    cursor = state.get("cursor", 0)
    log.info(f"reading events after {cursor}")
    for event in read_events(cursor, int(configuration.get("batch", "10"))):
        op.upsert(table="events", data=event)
        cursor = event["id"]
    # Rows and state are stored together: a sync that fails before this line starts again from the old cursor.
    op.checkpoint({"cursor": cursor})


connector = Connector(update=update, schema=schema)

if __name__ == "__main__":
    connector.debug(configuration={"batch": "10"})

"""Run by dagster's own Python: what a Dagster job does with a connection. URL, key and secret come from the environment; the
actions from the command line; the last line printed is what was seen, as JSON."""

import json
import os
import sys

import dagster
from dagster_fivetran import FivetranWorkspace, resources

resources.FIVETRAN_API_BASE = os.environ["TEST_URL"]
client = FivetranWorkspace(
    account_id="any",
    api_key=os.environ["TEST_KEY"],
    api_secret=os.environ["TEST_SECRET"],
    request_max_retries=1,
    request_retry_delay=0.2,
).get_client()


def run(action, id):
    """What came of one action: the connection's details, None for a paused one, or the failure."""
    try:
        if action == "resync":
            scope = {"dagster_probe": ["t"]}
            output = client.resync_and_poll(
                id, poll_interval=0.1, poll_timeout=90, resync_parameters=scope
            )
        else:
            output = client.sync_and_poll(id, poll_interval=0.1, poll_timeout=90)
    except dagster.Failure as failure:
        return {"failure": failure.description}
    return output and {"details": output.connector_details, "schemas": output.schema_config}


def workspace():
    loaded = FivetranWorkspace(
        account_id="any", api_key=os.environ["TEST_KEY"], api_secret=os.environ["TEST_SECRET"]
    ).fetch_fivetran_workspace_data()
    tables = loaded.to_fivetran_connector_table_props_data()
    return sorted(props.table for props in tables)


id, actions = sys.argv[1], sys.argv[2:]
seen = [workspace() if a == "workspace" else run(a, id) for a in actions]
print(json.dumps(seen, default=str))

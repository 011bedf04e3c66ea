"""Run by Airflow's own Python: what the provider's operators do with a connection, without a scheduler or triggerer around them.
The connection (host, key, secret) comes from AIRFLOW_CONN_FIVETRAN_DEFAULT, the actions from the command line."""

import json
import os
import sys
from urllib.parse import urlsplit

from airflow.sdk.definitions.connection import Connection
from fivetran_provider_async.hooks import FivetranHook
from fivetran_provider_async.operators import FivetranOperator, FivetranResyncOperator

# The provider ignores the connection's host: these two class attributes are its address.
url = urlsplit(os.environ["TEST_URL"])
FivetranHook.api_protocol, FivetranHook.api_host = url.scheme, url.netloc


def hook():
    login = Connection(
        conn_id="fivetran_default",
        conn_type="fivetran",
        login=os.environ["TEST_KEY"],
        password=os.environ["TEST_SECRET"],
    )
    return FivetranHook(fivetran_conn=login, retry_limit=1)


def operate(kind, **more):
    operator = kind(
        task_id="probe",
        connector_name="airflow_probe",
        destination_name="warehouse",
        deferrable=False,
        poll_frequency=0.1,
        **more,
    )
    operator.__dict__["hook"] = hook()
    try:
        operator.execute({})
    except Exception as failure:
        return {"failure": str(failure)}
    found = hook().get_connector(sys.argv[1])
    return {
        "succeeded_at": found["succeeded_at"],
        "paused": found["paused"],
        "type": found["schedule_type"],
    }


def run(action):
    if action == "test_connection":
        return hook().test_connection()
    if action == "schemas":
        return sorted(hook().get_connector_schemas(sys.argv[1])["schemas"])
    if action == "sync":
        return operate(FivetranOperator)
    return operate(FivetranResyncOperator, scope={"airflow_probe": ["t"]})


print(json.dumps([run(action) for action in sys.argv[2:]]))

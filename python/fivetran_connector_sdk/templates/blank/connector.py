from fivetran_connector_sdk import Connector, Logging as log, Operations as op


def schema(configuration: dict):
    """The tables and their primary keys. Columns and types are taken from the data."""
    return [{"table": "hello", "primary_key": ["id"]}]


def update(configuration: dict, state: dict):
    """Called for every sync with the configuration and the state of the last checkpoint."""
    log.info("sync begins")
    op.upsert(table="hello", data={"id": 1, "message": "hello, world"})
    op.checkpoint(state)


connector = Connector(update=update, schema=schema)

if __name__ == "__main__":
    connector.debug()

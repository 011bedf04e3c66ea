from fivetran_connector_sdk import Connector, Operations as op


def schema(configuration: dict):
    return [{"table": "people", "primary_key": ["id"]}, {"table": "prices", "primary_key": ["sku"]}]


def update(configuration: dict, state: dict):
    for number, name in enumerate(["Ada", "Grace", "Edsger"], start=1):
        op.upsert("people", {"id": number, "name": name, "city": "unknown"})
    op.update("people", {"id": 2, "city": "New York"})  # the name stays
    op.delete("people", {"id": 3})

    # A full list replaces what was there: all rows are marked deleted, those still listed live again.
    op.truncate("prices")
    op.upsert("prices", {"sku": "A-1", "price": 12.5})
    op.checkpoint(state)


connector = Connector(update=update, schema=schema)

if __name__ == "__main__":
    connector.debug(configuration={})

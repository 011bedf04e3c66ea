from fivetran_connector_sdk import Connector, Logging as log, Operations as op


def schema(configuration: dict):
    return [{"table": "readings", "primary_key": ["id"]}]


def parse(text: str):
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"reading {text!r} is no number") from error


def update(configuration: dict, state: dict):
    log.debug("for the developer; shown in a local run only")
    log.info("reading sensors")
    op.upsert("readings", {"id": 1, "value": parse("20.5")})
    op.checkpoint({"last": 1})

    log.warning("sensor 2 answers slowly")
    second = "n/a" if configuration.get("fail") == "yes" else "21"
    op.upsert("readings", {"id": 2, "value": parse(second)})
    op.checkpoint({"last": 2})


connector = Connector(update=update, schema=schema)

if __name__ == "__main__":
    connector.debug(configuration={"fail": "no"})

from datetime import datetime, timezone
from decimal import Decimal

from fivetran_connector_sdk import Connector, Operations as op


def schema(configuration: dict):
    return [
        {
            "table": "orders",
            "primary_key": ["id"],
            "columns": {
                "id": "LONG",
                "postcode": "STRING",
                "amount": {"type": "DECIMAL", "precision": 12, "scale": 2},
                "ordered_on": "NAIVE_DATE",
                "paid_at": "UTC_DATETIME",
                "details": "JSON",
            },
        }
    ]


def update(configuration: dict, state: dict):
    op.upsert(
        "orders",
        {
            "id": 1,
            "postcode": "01067",
            "amount": Decimal("19.90"),
            "ordered_on": "2026-01-31",
            "paid_at": datetime(2026, 1, 31, 12, 0, tzinfo=timezone.utc),
            "details": {"gift": True, "lines": [{"sku": "A-1", "quantity": 2}]},
            "note": "not declared: STRING, as its value",
        },
    )
    op.checkpoint(state)


connector = Connector(update=update, schema=schema)

if __name__ == "__main__":
    connector.debug(configuration={})

"""The numbers of the frame protocol (docs/protocol.md). A test compares them with that page and with the C encoder."""

VERSION = 2
FRAME_MAX = 1 << 30
SHAPES_MAX = 1000

# Engine to connector.
START, STOP, ACK = 65, 66, 67

# Connector to engine. PREPARE goes to an engine that the connector itself started, before HELLO.
HELLO, SCHEMA, TABLE, SHAPE = 1, 2, 3, 4
UPSERT, UPDATE, DELETE, TRUNCATE = 5, 6, 7, 8
CHECKPOINT, LOG, WARNING, ERROR, DONE = 9, 10, 11, 12, 13
FORM, TEST = 14, 15
PREPARE = 100

CHECKPOINT_DURABLE = 1
LOG_FROM_LIBRARY = 1 << 8
ERROR_EXCEPTION, ERROR_OPERATION = 0, 1
STOP_USER, STOP_ENGINE, STOP_TIME = 1, 2, 3

LEVEL_WARNING = 4

# Cells.
CELL_NULL, CELL_FALSE, CELL_TRUE, CELL_LONG, CELL_DOUBLE, CELL_STRING, CELL_BINARY = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
)
CELL_JSON, CELL_BIGINT, CELL_DECIMAL, CELL_DATE, CELL_NAIVE, CELL_UTC, CELL_ABSENT = (
    7,
    8,
    9,
    10,
    11,
    12,
    13,
)

# What a column was declared as; 0 is "not declared". The C encoder switches on these numbers.
KINDS = (
    "UNDECLARED",
    "BOOLEAN",
    "SHORT",
    "INT",
    "LONG",
    "DECIMAL",
    "FLOAT",
    "DOUBLE",
    "NAIVE_DATE",
    "NAIVE_DATETIME",
    "UTC_DATETIME",
    "BINARY",
    "XML",
    "STRING",
    "JSON",
)
KIND = {name: number for number, name in enumerate(KINDS)}

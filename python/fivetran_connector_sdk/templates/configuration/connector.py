import json

from cryptography.fernet import Fernet

from fivetran_connector_sdk import Connector, Logging as log, Operations as op

# Encrypted with the key in configuration.json.
ENCRYPTED_MESSAGE = (
    b"gAAAAABlU_EAGhjtTJBFZbAtyfBXx09SbnOfEg1AJqQvr7CD-nbScAIzM2VmWT1IZYgczKjd0Ir_fjN7dxfRi9sS3u-UBiPeHV9"
    b"-6hfREjz0cgnpfDTgFHy2t0KVbaeUAIEorEN6eWH7"
)


def schema(configuration: dict):
    if "my_key" not in configuration:
        raise ValueError("Could not find 'my_key'")
    return [{"table": "crypto", "primary_key": ["msg"]}]


def update(configuration: dict, state: dict):
    log.warning("Example: configuration")
    fernet = Fernet(configuration["my_key"].encode())
    log.fine("Decrypting the message...")
    message = fernet.decrypt(ENCRYPTED_MESSAGE)
    yield op.upsert(table="crypto", data={"msg": message.decode()})
    yield op.checkpoint(state)


connector = Connector(update=update, schema=schema)

if __name__ == "__main__":
    with open("configuration.json", "r") as f:
        configuration = json.load(f)
    connector.debug(configuration=configuration)

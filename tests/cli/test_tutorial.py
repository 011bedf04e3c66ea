"""The tutorial, word for word, with a real install of cryptography."""

import json
import os
import time

import pytest

KEY = "EKlFpH8sZmdhhZ9lGhezgMTwAw3_Y2e7wbco7Gxt3SA="
OTHER_KEY = "XZ2K6Bs7wVd-pW-n5wF5uX1L4mqw7g1LbNbe4KqhYGc="
MESSAGE = (
    "gAAAAABl-3QGKUHpdUhBNpnW1_SnSkQGrAwev-uBBJaZo4NmtylIMg8UX6usuG4Z-h80OvfJajW6"
    "HU56O5hofapEIh4W33vuMpJgq0q3qMQx6R3Ol4qZ3Wc2DyIIapxbK5BrQHshBF95"
)
CONNECTOR = """from fivetran_connector_sdk import Connector, Logging as log, Operations as op
import json
from cryptography.fernet import Fernet

# This is an encrypted message that will be decrypted using a key from the configuration.
encrypted_message = b'%MESSAGE%'

# Define the schema function to specify the destination schema for the connector.
def schema(configuration: dict):
    # Ensure the required config key is present
    if 'my_key' not in configuration:
        raise ValueError("Could not find 'my_key'")
    return [
        {
            "table": "crypto",  # Destination table name
            "primary_key": ["msg"]  # Primary key column(s) for the table
        }
    ]

# Define the main update function, called by Fivetran on each sync.
def update(configuration: dict, state: dict):
    log.warning("Example: QuickStart Examples - Configuration")
    # Retrieve the encryption key from configuration
    key = configuration['my_key']
    # Create a Fernet object for symmetric encryption using the provided key
    f = Fernet(key.encode())
    # Decrypt the encrypted message
    log.fine("Decrypting the message...")
    message = f.decrypt(encrypted_message)
    # Yield an upsert operation to write the decrypted message to the "crypto" table
    yield op.upsert(
        table="crypto",
        data={
            'msg': message.decode()
        }  # decode bytes to string for output
    )
    # Save state checkpoint (in this simple example, state remains unchanged)
    yield op.checkpoint(state)

# Initialize the Connector with our update (and schema) functions
connector = Connector(update=update, schema=schema)

# Allow running this script directly for local debugging
if __name__ == "__main__":
    # Load configuration from file when running locally
    with open("configuration.json", "r") as f:
        configuration = json.load(f)
    # Run the connector in debug mode with the provided configuration
    connector.debug(configuration=configuration)
""".replace("%MESSAGE%", MESSAGE)


@pytest.fixture
def tutorial(project):
    return project.write("connector.py", CONNECTOR).write(
        "requirements.txt", "cryptography==44.0.2\n"
    )


def test_the_tutorial(tutorial, installer):
    tutorial.write("configuration.json", {"my_key": KEY})
    result = tutorial.debug("--configuration", "configuration.json", env=installer)
    assert result.code == 0, result
    assert "WARNING - Example: QuickStart Examples - Configuration\n" in result.out
    assert "FINE - Decrypting the message...\n" in result.out
    assert "INFO Fivetran-Tester-Process: Sync SUCCEEDED\n" in result.out
    assert result.out.splitlines()[-1].endswith("Sync SUCCEEDED")
    assert "Upserts       | 1\n" in result.out
    assert "SchemaChanges | 1\n" in result.out
    assert "Checkpoints   | 1\n" in result.out
    assert result.err == ""
    assert (tutorial.path / "files/warehouse.db").is_file()
    assert json.loads((tutorial.path / "files/state.json").read_text()) == {}
    table = tutorial.tables()["crypto"]
    assert [c["name"] for c in table["columns"]] == ["msg", "_fivetran_synced", "_fivetran_deleted"]
    assert table["schema"] == "tester"
    assert table["columns"][0] == {"name": "msg", "type": "VARCHAR", "key": True}
    assert table["first_rows"][0]["msg"] == "If you can read this, you have the correct key"

    begin = time.monotonic()
    again = tutorial.debug("--configuration", "configuration.json", env=installer)
    assert again.code == 0
    assert "installing" not in again.out
    assert "1 unchanged" in again.out
    assert time.monotonic() - begin < 3
    assert tutorial.tables()["crypto"]["rows"] == 1


def test_configuration_json_is_found_without_the_option(tutorial):
    tutorial.write("configuration.json", {"my_key": KEY})
    assert tutorial.debug().code == 0


def test_from_another_folder(tutorial):
    tutorial.write("configuration.json", {"my_key": KEY})
    result = tutorial.debug(tutorial.path)
    assert result.code == 0
    assert f"fivetran show {tutorial.path}" in result.out


def test_missing_key(tutorial):
    result = tutorial.debug()
    assert result.code == 1
    assert (
        "SEVERE Fivetran-Tester-Process: Sync FAILED: ValueError: Could not find 'my_key' (connector.py:12)"
        in result.out
    )
    assert "connector.py:12: in schema(): ValueError" in result.out
    assert "--configuration was not given" in result.out
    assert "Traceback (most recent call last):" in result.out


def test_wrong_key(tutorial):
    tutorial.write("configuration.json", {"my_key": OTHER_KEY})
    result = tutorial.debug()
    assert result.code == 1
    assert "Sync FAILED" in result.out
    assert "InvalidToken" in result.out
    assert "connector.py:29: in update()" in result.out
    assert OTHER_KEY not in result.all


def test_python_connector_py(tutorial):
    """In the interpreter it was started with: the connector needs its packages there."""
    tutorial.write(
        "connector.py", CONNECTOR.replace("from cryptography.fernet import Fernet", FAKE_FERNET)
    )
    tutorial.write("configuration.json", {"my_key": KEY})
    result = tutorial.run("connector.py", program="python")
    assert result.code == 0, result
    assert "Sync SUCCEEDED" in result.out
    assert "WARNING - Example: QuickStart Examples - Configuration\n" in result.out
    assert tutorial.tables()["crypto"]["rows"] == 1


FAKE_FERNET = """
class Fernet:
    def __init__(self, key): pass
    def decrypt(self, data): return b"hello"
"""


def test_python_connector_py_fails_with_it(tutorial):
    tutorial.write(
        "connector.py", CONNECTOR.replace("from cryptography.fernet import Fernet", FAKE_FERNET)
    )
    tutorial.write("configuration.json", {})
    result = tutorial.run("connector.py", program="python")
    assert result.code != 0
    assert "Could not find 'my_key'" in result.out
    assert "Sync FAILED" in result.out


def test_the_users_environment_is_not_touched(tutorial, bin_dir):
    def folders():
        return sorted(
            os.path.join(root, name)
            for root, names, _ in os.walk(os.path.dirname(bin_dir))
            for name in names
        )

    before = folders()
    tutorial.write("configuration.json", {"my_key": KEY})
    assert tutorial.debug("--refresh").code == 0
    assert folders() == before

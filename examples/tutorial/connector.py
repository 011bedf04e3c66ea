from fivetran_connector_sdk import Connector, Logging as log, Operations as op
import json
from cryptography.fernet import Fernet

# This is an encrypted message that will be decrypted using a key from the configuration.
encrypted_message = b'gAAAAABl-3QGKUHpdUhBNpnW1_SnSkQGrAwev-uBBJaZo4NmtylIMg8UX6usuG4Z-h80OvfJajW6HU56O5hofapEIh4W33vuMpJgq0q3qMQx6R3Ol4qZ3Wc2DyIIapxbK5BrQHshBF95'


# Define the schema function to specify the destination schema for the connector.
def schema(configuration: dict):
    # Ensure the required config key is present
    if 'my_key' not in configuration:
        raise ValueError("Could not find 'my_key'")
    return [
        {
            "table": "crypto",  # Destination table name
            "primary_key": ["msg"]  # Primary key column(s) for the table
            # (No explicit columns defined here; types will be inferred from data)
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

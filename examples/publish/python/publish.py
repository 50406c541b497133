#!/usr/bin/env python3
"""Publishes one purchase on Kafka as a binary CloudEvent, and reads on loyalty.points what became of it.

It knows the AsyncAPI, and nothing else of the club.

Settings are environment variables:
  KAFKA_BROKERS         host:port, several with commas          127.0.0.1:9092
  KAFKA_CA              PEM file of the brokers' authority: encrypts the connection
  KAFKA_SASL_MECHANISM  PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, with KAFKA_USERNAME and KAFKA_PASSWORD
  TOPIC_PREFIX          what the club puts before its topics
  SOURCE                who sends: a till, a shop; chosen once  /examples/python
  PURCHASE_ID           its number there                        a new one
  MEMBER                member:…, card:… or external:…          external:07592
  AMOUNT                cents of its one line                   1530
  OCCURRED_AT           when it was, with an offset or Z        now
  WAIT_SECONDS          how long the outcome is waited for      30

Exit code: 0 accepted, or waiting for its member; 1 refused, not acknowledged or nothing heard; 2 wrong usage.
"""

import json
import logging
import os
import re
import sys
import time
import uuid
from datetime import datetime, timezone

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

DONE, FAILED, USAGE = 0, 1, 2
DELIVERY_TIMEOUT_MS = 120_000
POLL_MS = 500
OUTCOME = re.compile(r"loyalty\.purchase\.(accepted|waiting|refused)")


def read_settings(env):
    def given(name, default):
        return env.get(name) or default

    settings = {
        "prefix": given("TOPIC_PREFIX", ""),
        "source": given("SOURCE", "/examples/python"),
        "purchase_id": given("PURCHASE_ID", str(uuid.uuid4())),
        "member": given("MEMBER", "external:07592"),
        "amount": given("AMOUNT", "1530"),
        # The same whenever the purchase is sent again: it belongs to the purchase, and another time would be another content.
        "occurred_at": given("OCCURRED_AT", rfc3339_now()),
        "wait_seconds": float(given("WAIT_SECONDS", "30")),
    }
    if not re.fullmatch(r"[0-9]{1,15}", settings["amount"]):
        raise ValueError("AMOUNT must be a whole number of cents")
    return settings | {"amount": int(settings["amount"])}


def rfc3339_now():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def connection(env):
    """How the brokers are reached: the same for who sends and who listens."""
    ca, mechanism = env.get("KAFKA_CA"), env.get("KAFKA_SASL_MECHANISM")
    options = {
        "bootstrap_servers": (env.get("KAFKA_BROKERS") or "127.0.0.1:9092").split(","),
        "client_id": "publish-example",
        "security_protocol": ("SASL_" if mechanism else "") + ("SSL" if ca else "PLAINTEXT"),
    }
    if ca:
        options["ssl_cafile"] = ca
    if mechanism:
        options |= {
            "sasl_mechanism": mechanism.upper(),
            "sasl_plain_username": env["KAFKA_USERNAME"],
            "sasl_plain_password": env["KAFKA_PASSWORD"],
        }
    return options


def message(settings):
    """The purchase as a message in binary mode: its attributes are headers, the value is the data alone. Money is in cents."""
    data = {
        "purchaseId": settings["purchase_id"],
        "member": settings["member"],
        "occurredAt": settings["occurred_at"],
        "currency": "EUR",
        "lines": [{"lineId": "1", "amount": settings["amount"], "kind": "goods"}],
        "total": settings["amount"],
    }
    headers = {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": str(uuid.uuid4()),
        "ce_source": settings["source"],
        "ce_type": "commerce.purchase.completed",
        "ce_time": rfc3339_now(),
    }
    return {
        # The member reference: all purchases of a member stay in order.
        "key": settings["member"].encode(),
        "value": json.dumps(data).encode(),
        "headers": [(name, value.encode()) for name, value in headers.items()],
    }


def listen(options, topic):
    """A consumer that stands where the topic ends now: what is published afterwards is not missed."""
    consumer = KafkaConsumer(**options, enable_auto_commit=False)
    partitions = consumer.partitions_for_topic(topic)
    if not partitions:
        consumer.close()
        raise LookupError(f"the brokers have no topic {topic}")
    everything = [TopicPartition(topic, partition) for partition in partitions]
    consumer.assign(everything)
    # Sought by number: the end is settled now, and not when the first message is asked for.
    for partition, offset in consumer.end_offsets(everything).items():
        consumer.seek(partition, offset)
    return consumer


def deliver(options, topic, settings):
    """Sends until every copy that the topic asks for has the message. What is sent again is harmless: a purchase counts once."""
    producer = KafkaProducer(
        **options, acks="all", enable_idempotence=True, delivery_timeout_ms=DELIVERY_TIMEOUT_MS
    )
    try:
        return producer.send(topic, **message(settings)).get(timeout=DELIVERY_TIMEOUT_MS / 1000)
    finally:
        producer.close(timeout=5)


def outcome(consumer, settings):
    """The first event that tells of the purchase; None where none comes in time."""
    deadline = time.monotonic() + settings["wait_seconds"]
    while time.monotonic() < deadline:
        for records in consumer.poll(timeout_ms=POLL_MS).values():
            for record in records:
                event = json.loads(record.value)
                # Ignore what you do not know: types and fields are added.
                if not OUTCOME.fullmatch(event["type"]):
                    continue
                if (event["data"]["source"], event["data"]["purchaseId"]) == (settings["source"], settings["purchase_id"]):
                    return event
    return None


def main():
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(__doc__)
        return DONE
    # What the client has to say of connections that it makes anew is not for whoever runs this.
    logging.disable(logging.WARNING)
    try:
        if len(sys.argv) > 1:
            raise ValueError("nothing is expected on the command line; see --help")
        settings, options = read_settings(os.environ), connection(os.environ)
    except KeyError as error:
        print(f"KAFKA_SASL_MECHANISM needs {error.args[0]}", file=sys.stderr)
        return USAGE
    except ValueError as error:
        print(error, file=sys.stderr)
        return USAGE
    try:
        consumer = listen(options, settings["prefix"] + "loyalty.points")
        sent = deliver(options, settings["prefix"] + "commerce.purchases", settings)
        print(f"acknowledged: {sent.topic}, partition {sent.partition}, offset {sent.offset}", file=sys.stderr)
        event = outcome(consumer, settings)
        consumer.close()
    except (KafkaError, LookupError) as error:
        print(error, file=sys.stderr)
        return FAILED
    if event is None:
        named = f"{settings['source']} {settings['purchase_id']}"
        print(f"{named}: acknowledged, and nothing heard of it. An outcome is told once; over HTTP it can be asked for.", file=sys.stderr)
        return FAILED
    print(json.dumps({"type": event["type"], **event["data"]}, separators=(",", ":")))
    return FAILED if event["type"] == "loyalty.purchase.refused" else DONE


if __name__ == "__main__":
    sys.exit(main())

"""Dispositions over MQTT, each acknowledged by an MES that does nothing else; needs mosquitto."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks import place
from benchmarks.figures import Figure, percentile

ALONE, CALLERS = 4000, 16
QUEUED: Final = 1000
_PORT: Final = place.free_port()
SETTINGS: Final = {
    "LOUPE_MES_TARGETS": json.dumps(
        [
            {
                "name": "mes",
                "adapter": "mqtt",
                "url": f"mqtt://127.0.0.1:{_PORT}",
                "secret": "bench",
                "timeout_s": 10,
            }
        ]
    )
}


def measure() -> list[Figure]:
    """The adapter alone, then the relay with everything."""
    with _broker(), _acknowledger():
        return [*_alone(), *_relay()]


@contextmanager
def _broker() -> Iterator[None]:
    found = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None:
        sys.exit("mosquitto is not on the PATH: apt install mosquitto")
    config = Path(tempfile.mkdtemp(prefix="loupe-bench-")) / "mosquitto.conf"
    config.write_text(f"listener {_PORT} 127.0.0.1\nallow_anonymous true\nlog_dest none\n")
    with subprocess.Popen([found, "-c", str(config)]) as process:
        try:
            yield
        finally:
            process.terminate()


@contextmanager
def _acknowledger() -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.ledger_rates_mqtt", str(_PORT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.terminate()


def _alone() -> Iterator[Figure]:
    # Django's modules can be imported from here on only.
    from mes_integration import mappings  # noqa: PLC0415
    from mes_integration.adapters.mqtt import MqttMes  # noqa: PLC0415
    from mes_integration.adapters.protocol import Applied, Message  # noqa: PLC0415
    from mes_integration.targets import target  # noqa: PLC0415
    from traceability.identifiers import new_id  # noqa: PLC0415

    found = target("mes")
    assert found is not None
    own = dataclasses.replace(found, options={"client": "alone"})
    adapter = MqttMes(own, acknowledge=lambda **_said: True)
    record = {"site": "bench", "line": "line-1", "station": "st-1"}
    body = {"filling": "x" * 1200}
    messages = [
        Message(str(new_id()), record, body, mappings.shipped("mqtt")) for _ in range(ALONE)
    ]
    took: list[float] = []

    def post(message: Message) -> None:
        began = time.perf_counter()
        assert isinstance(adapter.post(message), Applied)
        took.append(time.perf_counter() - began)

    post(messages.pop())
    began = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as callers:
        list(callers.map(post, messages))
    seconds = time.perf_counter() - began
    adapter.close()
    yield Figure("writeback.mqtt_adapter_per_s", len(messages) / seconds, "1/s")
    yield Figure("writeback.mqtt_adapter_p95", percentile(took, 0.95) * 1000, "ms")


def _relay() -> Iterator[Figure]:
    from mes_integration import relay  # noqa: PLC0415
    from mes_integration.models import WriteBack  # noqa: PLC0415
    from mes_integration.targets import adapter_of  # noqa: PLC0415

    subprocess.run(
        [sys.executable, "-m", "benchmarks.ledger_fill", str(QUEUED)], check=True, env=os.environ
    )
    # The first revisions that are superseded never leave.
    leaving = WriteBack.objects.values("unit").distinct().count()
    stop = threading.Event()
    loop = threading.Thread(target=relay.run, args=(stop,))
    began = time.perf_counter()
    loop.start()
    while WriteBack.objects.filter(settled_at=None).exists():
        time.sleep(0.05)
    seconds = time.perf_counter() - began
    stop.set()
    loop.join()
    opened = adapter_of("mes")
    assert opened is not None
    opened.close()
    yield Figure("writeback.mqtt_per_s", leaving / seconds, "1/s")


def acknowledge_all(port: int) -> None:
    """Be an MES that acknowledges whatever comes."""
    from paho.mqtt.client import Client, MQTTMessage  # noqa: PLC0415
    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion  # noqa: PLC0415

    def heard(client: Client, _data: Any, message: MQTTMessage) -> None:
        properties: Any = message.properties
        key = properties.CorrelationData.decode()
        said = {"disposition_id": key, "status": "applied", "peer_ref": f"M-{key}"}
        client.publish(properties.ResponseTopic, json.dumps(said), qos=1)

    mes = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    mes.max_inflight_messages_set(1000)
    mes.on_message = heard
    mes.on_subscribe = lambda *_: print("ready", flush=True)
    mes.on_connect = lambda client, *_: client.subscribe("loupe/v1/+/+/+/disposition", qos=1)
    mes.connect_async("127.0.0.1", port)
    mes.loop_forever(retry_first_connection=True)


if __name__ == "__main__":
    acknowledge_all(int(sys.argv[1]))

"""What a running engine is asked for its LoRA adapters."""

import contextlib
import http.client
import json

from studio.core import reasons
from studio.core.i18n import Problem
from studio.deploy.engines.engine import Order
from studio.deploy.supervision import ports

ANSWER_S = 60.0  # an adapter is read from the disk


def post(order: Order, path: str, body: object) -> None:
    """Post JSON to the engine of an order. Raises Problem where it does not answer, or refuses."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {order.key}"} if order.key else {})
    connection = http.client.HTTPConnection(ports.near(order.settings.host), order.port, timeout=ANSWER_S)
    with contextlib.closing(connection):
        try:
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise Problem("deploy.not_switched", reason=reasons.of(error)) from error
    if answer.status != 200:
        raise Problem("deploy.not_switched", reason=reasons.original(f"{answer.status} {text}"))

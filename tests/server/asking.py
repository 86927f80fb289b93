from tests.server.clients import *  # noqa: F403
from tests.server.clients import send as ask  # noqa: F401

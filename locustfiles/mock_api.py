"""The same load on the mock API alone: what the load generator and the mock can do without promptflow.

By hand: locust -f locustfiles/mock_api.py --host http://127.0.0.1:8090
Its own options are those of score.py without the two files. A GET that meets a connection just closed is sent
again by the client (a POST never is), so there are no keep-alive races here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from locust import task

if TYPE_CHECKING:
    from locustfiles.answers import Expected
    from locustfiles.load_user import RecordedUser
else:  # locust puts this folder on sys.path
    from answers import Expected
    from load_user import RecordedUser

ANY_ANSWER = Expected(fields={})


class MockApiUser(RecordedUser):
    """Asks the backend directly."""

    @task
    def ask(self) -> None:
        """Ask once."""
        self.exchange("GET", "/", ANY_ANSWER)

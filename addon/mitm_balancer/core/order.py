"""What a dispatcher asks for the accounts that may serve: one provider's order (`Priority`), or several in a row
(`Chain`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Protocol

from mitm_balancer.core.switching import Tied
from mitm_balancer.core.target import TargetInfo

if TYPE_CHECKING:
    from mitm_balancer.core.health import Block, Health
    from mitm_balancer.core.priority import Circumstances, Selection


class Order(Protocol):
    """`model` is always the client's word for it; `now` is monotonic seconds."""

    targets: Iterable[TargetInfo]
    """All of them, also those that cannot serve."""
    around: Circumstances

    def select(
        self, model: str, health: Health, now: float, *,
        without: Collection[str] = (), bound: str | None = None, tied: Tied | None = None,
    ) -> Selection: ...  # fmt: skip

    def find(self, name: str) -> TargetInfo | None: ...

    def preferred(self) -> TargetInfo | None: ...

    def taken(self, name: str) -> None: ...

    def served(self, name: str, model: str = "", health: Health | None = None, now: float = 0.0) -> None: ...

    def blocked(
        self, target: TargetInfo, model: str, health: Health, now: float, *, bound: bool = False
    ) -> Block | None: ...

    def takes_over(self, name: str, model: str, *, failover: bool) -> bool:  # noqa: ARG002
        """Whether work that goes there leaves the account in use, with all that ran there. `failover`: it has failed
        elsewhere."""
        return False

    def model_of(self, name: str, model: str) -> str:  # noqa: ARG002
        """What that account's provider calls the model."""
        return model

    def near(self, name: str) -> Order:  # noqa: ARG002
        """The same without the providers behind the one of that account."""
        return self

    def beyond(self, name: str) -> Order | None:  # noqa: ARG002
        """The providers behind the one of that account; None: there are none."""
        return None

    def before(self, name: str) -> Order | None:  # noqa: ARG002
        """The providers in front of the one of that account; None: there are none."""
        return None

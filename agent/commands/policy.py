"""`policy.give`, `policy.end`, `policy.list`: what the box may do by itself, by signed order."""

from agent.commands.registry import Progress
from agent.contract.commands import Command, EndPolicy, GivePolicy, ListPolicies
from agent.contract.grants import StandingPolicy
from agent.core.errors import CommandError
from agent.grants.policies import Policies


class PolicyHandler:
    """All three are harmless to repeat."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    async def __call__(self, command: Command, _: Progress) -> dict[str, object]:
        match command.args:
            case GivePolicy(policy=policy):
                await self._policies.give(policy)
                return {"policy": policy.id}
            case EndPolicy(policy_id=policy_id):
                await self._policies.end(policy_id)
                return {"policy": policy_id}
            case ListPolicies():
                return {"policies": [told(one) for one in await self._policies.holding()]}
        raise CommandError("command.wrong_handler", f"{command.op} is about no policy.")


def told(policy: StandingPolicy) -> dict[str, object]:
    """Return what is shown of a policy: no relay, no token."""
    return {
        "policy": policy.id,
        "audience": policy.audience,
        "reason": policy.reason,
        "what": [one.value for one in policy.what],
        "kinds": list(policy.kinds),
        "zones": list(policy.zones),
        "hours": list(policy.hours),
        "cameras": list(policy.cameras),
        "exp": policy.exp,
    }

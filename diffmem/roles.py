"""What a key of the config is for: said once, by the class that takes it, and read wherever it matters."""

from typing import Literal, get_args

#: - ``training``: shapes the weights. The keys of this role are the run's identity.
#: - ``location``: where the data lie. Enters the identity by its last component.
#: - ``protocol``: what a number in the table means. Rows of two protocols never share a table.
#: - ``measurement``: what is measured, at which steps and by which means. May change while a run goes on.
#: - ``operation``: how a run is carried out, kept and shown. Changes no number but by rounding.
Role = Literal["training", "location", "protocol", "measurement", "operation"]


def role_of(owner: type | None, key: str, default: Role) -> Role:
    """Role of the parameter ``key`` of the class ``owner``.

    A class states ``roles``, a mapping from its parameters to their roles, and ``role``, that of the parameters which
    ``roles`` does not name. Both are inherited, the nearest class first.

    Args:
        owner: The class; None for one that is not known.
        key: Name of a parameter of its constructor.
        default: Role where neither the class nor its bases state one.
    """
    for each in owner.__mro__ if owner else ():
        stated = vars(each).get("roles", {}).get(key, vars(each).get("role"))
        if stated in get_args(Role):
            return stated
    return default

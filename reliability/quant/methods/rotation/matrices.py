"""Hadamard matrices whose order is no power of two, and how a size is made up of those that exist."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import torch
from torch import Tensor


@dataclass(frozen=True)
class Factors:
    """A size as a product.

    Attributes:
        blocks: Parts that are rotated apart from each other; 1 wherever a Hadamard
            matrix of the whole size is known here.
        core: Order of a Paley matrix, or 1.
        power: A power of two.
    """

    blocks: int
    core: int
    power: int

    @property
    def order(self) -> int:
        """Values that one rotation mixes."""
        return self.core * self.power


@lru_cache(maxsize=256)
def factors(size: int) -> Factors:
    """The factors with the largest order.

    Example:
        >>> factors(768), factors(512)
        (Factors(blocks=1, core=12, power=64), Factors(blocks=1, core=1, power=512))
        >>> factors(4304).order
        16
    """
    power = size & -size
    odd = size // power
    for divisor in (d for d in range(odd, 1, -2) if odd % d == 0):
        multiple = 4
        while multiple <= power:
            if _paley_prime(divisor * multiple):
                return Factors(odd // divisor, divisor * multiple, power // multiple)
            multiple *= 2
    return Factors(odd, 1, power)


@lru_cache(maxsize=32)
def paley(order: int) -> Tensor:
    """A Hadamard matrix of an order for which :func:`factors` has a core.

    Returns:
        [order, order] of +-1, int8, with H^T H = order * I.

    Conventions:
        The first construction, order q + 1 for a prime q = 3 mod 4, before the
        second, order 2 (q + 1) for a prime q = 1 mod 4. Powers of primes are left out.

    Source:
        Paley, On orthogonal matrices, J. Math. Phys. 12 (1933). No departure.
    """
    if order == 1:
        return torch.ones(1, 1, dtype=torch.int8)
    prime = _paley_prime(order)
    assert prime, f"no Paley matrix of order {order}"
    numbers = torch.arange(prime)
    is_square = torch.zeros(prime, dtype=torch.bool)
    is_square[(numbers[1:] ** 2) % prime] = True
    character = torch.where(is_square, 1, -1)
    character[0] = 0
    inner = character[(numbers[:, None] - numbers[None, :]) % prime]
    bordered = torch.ones(prime + 1, prime + 1, dtype=torch.int64)
    bordered[0, 0], bordered[1:, 1:] = 0, inner
    identity = torch.eye(prime + 1, dtype=torch.int64)
    if prime % 4 == 3:
        bordered[1:, 0] = -1
        return (bordered + identity).to(torch.int8)
    one, other = torch.tensor([[1, 1], [1, -1]]), torch.tensor([[1, -1], [-1, -1]])
    return (torch.kron(bordered, one) + torch.kron(identity, other)).to(torch.int8)


def _paley_prime(order: int) -> int:
    """The prime of a construction, 0 where there is none."""
    if _is_prime(order - 1) and (order - 1) % 4 == 3:
        return order - 1
    half = order // 2 - 1
    return half if order % 4 == 0 and _is_prime(half) and half % 4 == 1 else 0


def _is_prime(number: int) -> bool:
    return number > 1 and prod(number % d for d in range(2, int(number**0.5) + 1)) != 0

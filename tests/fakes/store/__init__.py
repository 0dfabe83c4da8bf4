"""The port `Store` in memory: it passes the contract suite of the SQL one, and costs microseconds.

Transactions are as PostgreSQL has them (READ COMMITTED): a statement sees what is committed and its own writes, a row
that another transaction has written is waited for and looked at again, and nothing is seen of who never commits. What
waiting means is said by `Turns`: one transaction at a time, unless a simulation interleaves them.

Not here: what nobody moves by, like lists of assets, filters by labels and fields, keys, repeated requests, media.
"""

from tests.fakes.store.memory import MemoryStore, MemoryTx
from tests.fakes.store.rows import OneAtATime, Turns

__all__ = ["MemoryStore", "MemoryTx", "OneAtATime", "Turns"]

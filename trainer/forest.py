"""Decision trees as plain arrays: fast to ask, safe to load from a file nobody vouches for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.errors import ModelError

MAX_DEPTH = 64
MAX_NODES = 4_000_000
ROWS_AT_ONCE = 2048

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Forest:
    """`child` holds left and right of every node side by side; a leaf points at itself.

    The answer is `offset` plus, over all trees, the sum (boosting) or mean (bagging) of values.
    """

    feature: NDArray[np.int32]
    threshold: Floats
    child: NDArray[np.int32]
    value: Floats
    roots: NDArray[np.int32]
    offset: Floats
    depth: int
    mean: bool

    def predict(self, rows: Floats) -> NDArray[np.float64]:
        """(rows, features) to (rows, outputs)."""
        answers = [
            self._predict(np.ascontiguousarray(rows[start : start + ROWS_AT_ONCE]))
            for start in range(0, len(rows), ROWS_AT_ONCE)
        ]
        outputs = self.value.shape[1]
        return np.concatenate(answers) if answers else np.zeros((0, outputs))

    def _predict(self, rows: Floats) -> NDArray[np.float64]:
        flat = rows.ravel()
        start = (np.arange(len(rows), dtype=np.int32) * np.int32(rows.shape[1]))[:, None]
        node = np.broadcast_to(self.roots, (len(rows), len(self.roots)))
        for _ in range(self.depth):
            above = flat[start + self.feature[node]] > self.threshold[node]
            node = self.child[2 * node + above]
        total = np.stack(
            [column[node].sum(axis=1, dtype=np.float64) for column in self.value.T], axis=1
        )
        if self.mean:
            total /= max(1, len(self.roots))
        return np.asarray(total + self.offset, dtype=np.float64)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "feature": self.feature.astype(np.int16),
            "threshold": self.threshold,
            "child": self.child,
            "value": self.value,
            "roots": self.roots,
            "offset": self.offset,
            "shape": np.asarray([self.depth, int(self.mean)], dtype=np.int32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], *, features: int) -> Forest:
        """Raises ModelError unless every index stays inside its array."""
        try:
            shape = arrays["shape"].astype(np.int64)
            forest = cls(
                feature=arrays["feature"].astype(np.int32),
                threshold=arrays["threshold"].astype(np.float32),
                child=arrays["child"].astype(np.int32),
                value=arrays["value"].astype(np.float32),
                roots=arrays["roots"].astype(np.int32),
                offset=arrays["offset"].astype(np.float32),
                depth=int(shape[0]),
                mean=bool(shape[1]),
            )
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise ModelError("The model's trees are damaged.") from error
        forest._check(features)
        return forest

    def _check(self, features: int) -> None:
        nodes = len(self.feature)
        sound = (
            0 < nodes <= MAX_NODES
            and self.feature.ndim == self.threshold.ndim == self.child.ndim == 1
            and self.roots.ndim == self.offset.ndim == 1
            and self.value.ndim == 2
            and len(self.threshold) == len(self.value) == nodes
            and len(self.child) == 2 * nodes
            and len(self.offset) == self.value.shape[1]
            and 0 <= self.depth <= MAX_DEPTH
            and _within(self.feature, features)
            and _within(self.child, nodes)
            and _within(self.roots, nodes)
            and bool(np.isfinite(self.value).all())
        )
        if not sound:
            raise ModelError("The model's trees are damaged.")


def _within(indices: NDArray[np.int32], limit: int) -> bool:
    return indices.size > 0 and int(indices.min()) >= 0 and int(indices.max()) < limit


def pack_bagged(estimators: list[Any], *, outputs: int, columns: NDArray[np.int64]) -> Forest:
    """scikit-learn's trees; `columns` are the outputs that the fitted classes stand for."""
    parts = []
    for estimator in estimators:
        tree = estimator.tree_
        share = tree.value[:, 0, :]
        share = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-12)
        value = np.zeros((tree.node_count, outputs), dtype=np.float32)
        value[:, columns] = share
        leaf = tree.children_left < 0
        parts.append(
            _Tree(
                feature=np.where(leaf, 0, tree.feature),
                threshold=_float_below(tree.threshold),
                left=tree.children_left,
                right=tree.children_right,
                leaf=leaf,
                value=value,
            )
        )
    depth = max(int(estimator.tree_.max_depth) for estimator in estimators)
    return _join(parts, np.zeros(outputs), depth=depth, mean=True)


def pack_boosted(iterations: list[list[Any]], baseline: NDArray[np.float64]) -> Forest:
    """scikit-learn's histogram gradient boosting of two classes: one tree per round."""
    parts, depth = [], 0
    for (tree,) in iterations:
        nodes = tree.nodes
        leaf = nodes["is_leaf"].astype(bool)
        depth = max(depth, int(nodes["depth"].max()))
        parts.append(
            _Tree(
                feature=np.where(leaf, 0, nodes["feature_idx"]),
                threshold=_float_below(nodes["num_threshold"]),
                left=nodes["left"].astype(np.int64),
                right=nodes["right"].astype(np.int64),
                leaf=leaf,
                value=np.where(leaf, nodes["value"], 0.0).astype(np.float32)[:, None],
            )
        )
    return _join(parts, baseline, depth=depth, mean=False)


@dataclass(frozen=True)
class _Tree:
    feature: NDArray[Any]
    threshold: Floats
    left: NDArray[Any]
    right: NDArray[Any]
    leaf: NDArray[np.bool_]
    value: Floats


def _float_below(threshold: NDArray[np.float64]) -> Floats:
    """The largest float32 not above: `x <= threshold` stays the same for float32 x."""
    rounded = threshold.astype(np.float32)
    high = rounded.astype(np.float64) > threshold
    return np.where(high, np.nextafter(rounded, np.float32(-np.inf)), rounded).astype(np.float32)


def _join(parts: list[_Tree], offset: NDArray[np.float64], *, depth: int, mean: bool) -> Forest:
    sizes = np.asarray([len(part.feature) for part in parts])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    children = []
    for part, start in zip(parts, starts, strict=True):
        own = np.arange(len(part.feature))
        left = np.where(part.leaf, own, part.left) + start
        right = np.where(part.leaf, own, part.right) + start
        children.append(np.stack([left, right], axis=1).ravel())
    return Forest(
        feature=np.concatenate([part.feature for part in parts]).astype(np.int32),
        threshold=np.concatenate([part.threshold for part in parts]),
        child=np.concatenate(children).astype(np.int32),
        value=np.concatenate([part.value for part in parts]),
        roots=starts.astype(np.int32),
        offset=offset.astype(np.float32),
        depth=depth,
        mean=mean,
    )

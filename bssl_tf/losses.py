"""Losses of BSSL (https://arxiv.org/abs/2110.08851) and its baselines, one value per example.

Every loss computes in float32 whatever the inputs are, so that they hold under mixed precision, and
leaves the mean over the (global) batch to its caller.
"""

import tensorflow as tf


def kl_divergence(target_logits: tf.Tensor, student_logits: tf.Tensor, temperature: float) -> tf.Tensor:
    """KL divergence from the student's softmax to the target's: L_KL of BSSL.

    The gradient flows into both arguments: the target is trained jointly with the student.

    Args:
        target_logits: (batch, K), the target's logits g_θ(h_ζ(x)).
        student_logits: (batch, K), the student's logits l_φ(k_φ(x)).
        temperature: T > 0, divides both logits.

    Returns:
        (batch,) float32, ≥ 0, in nats.

    Raises:
        ValueError: the shapes differ or the temperature is not positive.
    """
    _check_pair(target_logits, student_logits, "target_logits", "student_logits")
    _check_positive(temperature)
    target = tf.nn.log_softmax(tf.cast(target_logits, tf.float32) / temperature)
    student = tf.nn.log_softmax(tf.cast(student_logits, tf.float32) / temperature)
    return tf.reduce_sum(tf.exp(target) * (target - student), axis=-1)


def feature_similarity(target: tf.Tensor, student: tf.Tensor) -> tf.Tensor:
    """One minus the cosine between target and student: L_FS of BSSL.

    Args:
        target: (batch, width), for instance the teacher's features h_ζ(x).
        student: (batch, width), for instance the student's features k_φ(x), brought to the same width.

    Returns:
        (batch,) float32 in [0, 2].

    Raises:
        ValueError: the shapes differ.
    """
    _check_pair(target, student, "target", "student")
    target = tf.math.l2_normalize(tf.cast(target, tf.float32), axis=-1)
    student = tf.math.l2_normalize(tf.cast(student, tf.float32), axis=-1)
    return 1.0 - tf.reduce_sum(target * student, axis=-1)


def nt_xent(first: tf.Tensor, second: tf.Tensor, temperature: float) -> tf.Tensor:
    """SimCLR's normalised, temperature-scaled cross entropy (https://arxiv.org/abs/2002.05709, equation 1).

    Args:
        first: (batch, width), projections of one view of every image.
        second: (batch, width), projections of the other view, in the same order.
        temperature: > 0, divides the cosine similarities.

    Returns:
        (2·batch,) float32 in nats: the loss of every first view, then of every second view.

    Raises:
        ValueError: the shapes differ or the temperature is not positive.
    """
    _check_pair(first, second, "first", "second")
    _check_positive(temperature)
    views = tf.math.l2_normalize(tf.cast(tf.concat([first, second], 0), tf.float32), axis=-1)
    count = tf.shape(views)[0]
    similarity = tf.matmul(views, views, transpose_b=True) / temperature
    similarity = tf.linalg.set_diag(similarity, tf.fill([count], similarity.dtype.min))
    partner = tf.math.floormod(tf.range(count) + count // 2, count)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(partner, similarity)


def matching(first: tf.Tensor, second: tf.Tensor, temperature: float) -> tf.Tensor:
    """Every row has to find its partner among all rows of the other side, both ways: InfoNCE, made symmetric.

    L_i = -½·log softmax_j(<a_i, b_j> / T)[i] - ½·log softmax_j(<a_j, b_i> / T)[i],  a and b of unit length

    (https://arxiv.org/abs/2103.00020, figure 3). The gradient flows into both sides. Rows that are all alike on one
    side give log batch.

    Args:
        first: (batch, width); brought to unit length here, as is `second`.
        second: (batch, width), in the same order.
        temperature: T > 0, divides the cosine similarities.

    Returns:
        (batch,) float32 in nats.

    Raises:
        ValueError: the shapes differ or the temperature is not positive.
    """
    _check_pair(first, second, "first", "second")
    _check_positive(temperature)
    first, second = (tf.math.l2_normalize(tf.cast(rows, tf.float32), axis=-1) for rows in (first, second))
    similarity = tf.matmul(first, second, transpose_b=True) / temperature
    both_ways = tf.reduce_logsumexp(similarity, axis=1) + tf.reduce_logsumexp(similarity, axis=0)
    return both_ways / 2.0 - tf.linalg.diag_part(similarity)


def info_nce(queries: tf.Tensor, keys: tf.Tensor, queue: tf.Tensor, temperature: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Contrastive loss of a query's own key among the keys of a queue (https://arxiv.org/abs/1911.05722, equation 1).

    Args:
        queries: (batch, width); brought to unit length here, as are the keys.
        keys: (batch, width), the positive key of each query.
        queue: (negatives, width) of unit length.
        temperature: τ > 0, divides the cosine similarities.

    Returns:
        (batch,) float32 in nats; and (batch,) bool, whether the own key is the nearest.

    Raises:
        ValueError: the shapes differ or the temperature is not positive.
    """
    _check_pair(queries, keys, "queries", "keys")
    _check_positive(temperature)
    queries, keys = (tf.math.l2_normalize(tf.cast(rows, tf.float32), axis=-1) for rows in (queries, keys))
    own = tf.reduce_sum(queries * keys, axis=-1, keepdims=True)
    logits = tf.concat([own, tf.matmul(queries, queue, transpose_b=True)], axis=-1) / temperature
    hits = tf.equal(tf.argmax(logits, axis=-1), 0)
    return tf.reduce_logsumexp(logits, axis=-1) - logits[:, 0], hits


def sinkhorn(scores: tf.Tensor, epsilon: float, iterations: int) -> tf.Tensor:
    """Assign samples to prototypes so that all are used equally (https://arxiv.org/abs/2006.09882, equation 5).

    Args:
        scores: (batch, prototypes), cosine similarities.
        epsilon: ε > 0, the smaller the harder the assignments.
        iterations: of Sinkhorn and Knopp's algorithm, each of which scales prototypes, then samples.

    Returns:
        (batch, prototypes) float32: each row a distribution.

    Raises:
        ValueError: ε is not positive.
    """
    _check_positive(epsilon, "epsilon")
    logs = tf.cast(scores, tf.float32) / epsilon
    for _ in range(iterations):
        logs -= tf.reduce_logsumexp(logs, axis=0, keepdims=True)
        logs -= tf.reduce_logsumexp(logs, axis=1, keepdims=True)
    return tf.nn.softmax(logs, axis=-1)


def cross_entropy(target: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross entropy of softmax(logits) under the target distribution.

    Args:
        target: (batch, classes), each row a distribution.
        logits: (batch, classes).

    Returns:
        (batch,) float32 in nats.

    Raises:
        ValueError: the shapes differ.
    """
    _check_pair(target, logits, "target", "logits")
    return -tf.reduce_sum(target * tf.nn.log_softmax(tf.cast(logits, tf.float32)), axis=-1)


def _check_positive(value: float, name: str = "temperature") -> None:
    if value <= 0:
        raise ValueError(f"{name} must be positive, got {value}.")


def _check_pair(a: tf.Tensor, b: tf.Tensor, name_a: str, name_b: str) -> None:
    if a.shape.rank != 2 or not a.shape.is_compatible_with(b.shape):
        raise ValueError(f"{name_a} and {name_b} must both be (batch, width); got {a.shape} and {b.shape}.")

"""Sets λ, the balance of BSSL's two losses, before every step."""

import tensorflow as tf

from bssl_tf.balancing import cosine_balance


class BalanceSchedule(tf.keras.callbacks.Callback):
    """Keras callback that gives `model.balance` the value λ(t) of the step about to be taken.

    t is the optimizer's step, so that a resumed run goes on where it stopped.

    Args:
        total_steps: T_max, steps of the whole stage.
        start: λ_0.
        end: λ_T.
    """

    def __init__(self, total_steps: int, start: float = 0.9, end: float = 0.7):
        super().__init__()
        self.total_steps, self.start, self.end = total_steps, start, end
        self._step = 0

    def on_train_begin(self, logs=None):
        self._step = int(self.model.optimizer.iterations.numpy())

    def on_train_batch_begin(self, batch, logs=None):
        step = min(self._step, self.total_steps)
        self.model.balance.assign(cosine_balance(step, self.total_steps, self.start, self.end))
        self._step += 1

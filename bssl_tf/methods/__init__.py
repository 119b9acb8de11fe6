"""The self-supervised methods, one file each.

Their classes are imported when first used::

from bssl_tf.methods import Bssl
"""

from typing import TYPE_CHECKING

from bssl_tf._lazy import lazy_names

if TYPE_CHECKING:
    from bssl_tf.methods.bssl import Bssl
    from bssl_tf.methods.byol import Byol
    from bssl_tf.methods.common.base import Method
    from bssl_tf.methods.moco_v2 import MocoV2
    from bssl_tf.methods.s2bnn import S2bnn
    from bssl_tf.methods.simclr import SimClr
    from bssl_tf.methods.supervised import Supervised
    from bssl_tf.methods.swav import Swav

__all__ = ["Bssl", "Byol", "Method", "MocoV2", "S2bnn", "SimClr", "Supervised", "Swav"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "bssl_tf.methods.bssl": ("Bssl",),
        "bssl_tf.methods.byol": ("Byol",),
        "bssl_tf.methods.common.base": ("Method",),
        "bssl_tf.methods.moco_v2": ("MocoV2",),
        "bssl_tf.methods.s2bnn": ("S2bnn",),
        "bssl_tf.methods.simclr": ("SimClr",),
        "bssl_tf.methods.supervised": ("Supervised",),
        "bssl_tf.methods.swav": ("Swav",),
    },
)

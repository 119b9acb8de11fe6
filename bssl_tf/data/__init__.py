"""Images: where they come from, and how they reach the networks.

From settings to batches:

    source = load_source(settings.data, "train", cache_dir=workdir)
    image_size, channels = resolve_image(settings.data, source)
    mean, std = pixel_statistics(source, image_size=image_size, channels=channels)
    batches = training_views(source, image_size=image_size, channels=channels, views=settings.views,
                             seed=0, batch_size=256, epochs=100, start_step=0)
"""

from bssl_tf.data.augmentation.views import finish_batch
from bssl_tf.data.pipeline import evaluation_images, pixel_statistics, steps_per_epoch, training_views, views_in_order
from bssl_tf.data.preview import write_preview
from bssl_tf.data.sources.base import DataError, Source, readable_data_errors
from bssl_tf.data.sources.decoded import keep_decoded
from bssl_tf.data.sources.registry import check_is_outside, load_source, resolve_image

"""Keys and values of the tokens before, kept with room for those that come.

transformers' `DynamicCache` makes a new tensor of all keys and values for every token. With 32 answers of a model of
135 M parameters that copies as many bytes a token as the weights have.
"""

from functools import cache

from studio.core import llamafactory

ROOM, SHARE = 64, 4  # room for so many tokens more, or one in so many of those that there are, where that is more


@cache
def _layer_class() -> type:
    llamafactory.load()
    from transformers.cache_utils import DynamicLayer

    class RoomyLayer(DynamicLayer):
        """The keys and values of one layer, [batch, heads, tokens, width]: the beginning of tensors with more room."""

        def lazy_initialization(self, key_states, value_states) -> None:
            super().lazy_initialization(key_states, value_states)
            self._key_room = self._value_room = None

        def update(self, key_states, value_states, *arguments, **named):
            """Put these behind those that are kept, and return all of them."""
            if not self.is_initialized:
                self.lazy_initialization(key_states, value_states)
            self._key_room, self.keys = _appended(self._key_room, self.keys, key_states)
            self._value_room, self.values = _appended(self._value_room, self.values, value_states)
            return self.keys, self.values

    return RoomyLayer


def _appended(room, kept, new) -> tuple:
    """Return a tensor that begins with `kept` and `new`, `room` itself where it can be, and the beginning."""
    count = kept.shape[-2] if kept.numel() else 0
    whole = count + new.shape[-2]
    # What is kept is no beginning of the room any more where rows were chosen, or repeated, since.
    fits = room is not None and kept.data_ptr() == room.data_ptr() and len(room) == len(new) and whole <= room.shape[2]
    if not fits:
        room = new.new_empty((*new.shape[:2], whole + max(ROOM, whole // SHARE), new.shape[3]))
        if count:
            room[:, :, :count] = kept
    room[:, :, count:whole] = new
    return room, room[:, :, :whole]


def new_cache():
    """Return an empty cache: transformers' `DynamicCache`, whose layers have room."""
    llamafactory.load()
    from transformers import DynamicCache

    made = DynamicCache()
    made.layer_class_to_replicate = _layer_class()
    return made


def of_rows(cache, rows: list[int]):
    """Return a new cache of these rows of one."""
    made = new_cache()
    for place, layer in enumerate(cache.layers):
        if layer.is_initialized:
            made.update(layer.keys[rows], layer.values[rows], place)
    return made


def put_rows(cache, part, rows: list[int], shape: tuple[int, int, int]) -> None:
    """Put the keys and values of some rows into the cache of all.

    Args:
        part: their cache: what all rows begin with, and then their own tokens, padded on the left.
        shape: of the whole: its rows, the tokens that all begin with, and those that stand behind, padding too.
    """
    count, shared, width = shape
    for place, layer in enumerate(part.layers):
        if place >= len(cache.layers):
            heads, size = layer.keys.shape[1], layer.keys.shape[3]
            empty = layer.keys.new_zeros((count, heads, shared + width, size))
            cache.update(empty, layer.values.new_zeros((count, heads, shared + width, layer.values.shape[3])), place)
        whole, own = cache.layers[place], layer.keys.shape[2] - shared
        for all_of_them, some in ((whole.keys, layer.keys), (whole.values, layer.values)):
            all_of_them[rows, :, :shared] = some[:, :, :shared]
            all_of_them[rows, :, shared + width - own :] = some[:, :, shared:]

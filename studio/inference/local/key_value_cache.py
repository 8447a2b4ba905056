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

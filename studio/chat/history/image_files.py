"""Images of a conversation: kept beside it, and shown small without another request."""

import base64
import hashlib
import io
import shutil
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage import files
from studio.core.storage.file_cache import FileCache

SMALL = (320, 240)  # pixels
MOST_PIXELS = 50_000_000  # larger is not made small at each look: it takes seconds, and hundreds of megabytes


def store(folder: Path, image: Path) -> str:
    """Copy an image beside the conversations, named by what is in it, and return its name there, `files/<name>`.

    Raises:
        Problem: it is no image that can be read, or the disk refuses.
    """
    kind = _format(image)
    try:
        name = f"files/{hashlib.sha256(image.read_bytes()).hexdigest()[:24]}.{kind}"
        (folder / "files").mkdir(parents=True, exist_ok=True)
        if not (folder / name).exists():
            shutil.copyfile(image, folder / name)
    except OSError as error:
        raise Problem("workspace.unwritable", path=folder, reason=reasons.of(error)) from error
    return name


def _format(image: Path) -> str:
    """Return the format of an image, as "png", after it was read whole: a model reads it so. Raises Problem."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(image) as opened:
            opened.load()
            return (opened.format or "png").lower()
    except UnidentifiedImageError as error:
        raise Problem("chat.no_image", file=image.name) from error
    except Image.DecompressionBombError as error:
        most = 2 * Image.MAX_IMAGE_PIXELS // 1_000_000  # Pillow warns of more than the half of it
        raise Problem("chat.image_too_large", file=image.name, most=most) from error
    except Exception as error:  # Pillow's readers refuse a damaged file in many ways
        raise Problem("chat.bad_image", file=image.name, reason=reasons.of(error)) from error


_small: FileCache[str] = FileCache(64)


def small(file: Path) -> str:
    """Return an image, made small, as an address that holds it whole (`data:`); "" where it is gone or is no image."""
    return _small.get(file, [file], lambda: _made_small(file))


def _made_small(file: Path) -> str:
    from PIL import Image

    try:
        with files.open_file(file) as plain, Image.open(plain) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                return ""
            opened.thumbnail(SMALL)
            whole = io.BytesIO()
            opened.convert("RGB").save(whole, "JPEG", quality=80)
    except (
        Exception
    ):  # Pillow's readers refuse a damaged file in many ways, and the words around it must still be shown
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(whole.getvalue()).decode()

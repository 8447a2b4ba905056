"""What fields and speakers are called out in the world, the likeliest name first."""

import re

COLUMNS = {
    "prompt": (
        "instruction",
        "prompt",
        "question",
        "query",
        "problem",
        "input",
        "user",
        "human",
        "q",
        "指令",
        "问题",
        "提问",
        "用户",
        "提示",
        "提示词",
        "title",
    ),
    "query": ("input", "context", "输入", "上下文"),
    "response": (
        "output",
        "response",
        "answer",
        "completion",
        "reply",
        "solution",
        "target",
        "assistant",
        "a",
        "输出",
        "回答",
        "答案",
        "回复",
        "助手",
    ),
    "system": (
        "system",
        "system_prompt",
        "system_message",
        "systeminstruction",
        "system_instruction",
        "系统",
        "系统提示",
        "系统提示词",
    ),
    "history": ("history", "历史", "历史对话"),
    "messages": (
        "messages",
        "conversations",
        "conversation",
        "dialogue",
        "dialog",
        "chat",
        "turns",
        "contents",
        "对话",
        "消息",
    ),
    "tools": ("tools", "functions", "available_tools", "工具"),
    "images": ("images", "image", "image_path", "image_paths", "image_file", "图片", "图像"),
    "videos": ("videos", "video", "video_path", "video_paths", "视频"),
    "audios": ("audios", "audio", "audio_path", "audio_paths", "音频"),
    "kto_tag": ("label", "kto_tag", "desirable", "is_good", "feedback", "thumbs_up", "is_desirable", "标签"),
    "score": ("helpfulness", "overall", "score", "rating", "quality", "correctness", "评分"),
}
# The two sides of one comparison, by the names that belong together.
PAIRS = (
    ("chosen", "rejected"),
    ("chosen_messages", "rejected_messages"),
    ("chosen_response", "rejected_response"),
    ("response_chosen", "response_rejected"),
    ("chosen_conversations", "rejected_conversations"),
    ("chosen_answer", "rejected_answer"),
    ("preferred_output", "non_preferred_output"),
    ("preferred", "dispreferred"),
    ("preferred", "rejected"),
    ("preferred", "non_preferred"),
    ("accepted", "rejected"),
    ("winner", "loser"),
    ("win", "lose"),
    ("better", "worse"),
    ("positive", "negative"),
    ("pos", "neg"),
    ("response_j", "response_k"),
    ("good", "bad"),
    ("选中", "拒绝"),
    ("优选", "拒绝"),
    ("接受", "拒绝"),
    ("好回答", "坏回答"),
    ("正例", "负例"),
)
# A rejected side whose better one is the conversation, or the ordinary answer, itself.
REJECTED = (
    "rejected_response",
    "rejected_messages",
    "rejected",
    "rejected_output",
    "rejected_answer",
    "rejected_completion",
    "response_rejected",
    "non_preferred_output",
    "dispreferred",
    "拒绝",
    "拒绝回答",
)
TEXTS = ("text", "content", "raw_content", "body", "document", "article", "正文", "内容", "文本")
USERS = ("user", "human", "prompter", "问", "用户", "人类", "提问者", "humanmessage")
ASSISTANTS = (
    "assistant",
    "gpt",
    "model",
    "bot",
    "chatgpt",
    "bing",
    "ai",
    "答",
    "助手",
    "机器人",
    "chatbot",
    "aimessage",
)
SYSTEMS = ("system", "developer", "系统", "systemmessage")
OBSERVATIONS = (
    "tool",
    "observation",
    "function",
    "ipython",
    "tool_response",
    "tool_result",
    "function_response",
    "工具",
    "toolmessage",
)
CALLS = ("function_call", "tool_call", "tool_calls")
GOOD = (True, 1, "1", "1.0", "true", "yes", "good", "chosen", "up", "desirable", "positive", "👍", "好")
BAD = (False, 0, "0", "0.0", "false", "no", "bad", "rejected", "down", "undesirable", "negative", "👎", "差")
# Words that say of what a text is about as well as whether an answer is liked; under a name like "label" they are
# the first.
AMBIGUOUS = ("yes", "no", "positive", "negative", "up", "down")
LIKED = ("kto_tag", "desirable", "is_good", "feedback", "thumbs_up", "is_desirable")
# What messages call who speaks, and what is said.
ROLE_KEYS = ("role", "from", "speaker", "author", "sender", "角色")
CONTENT_KEYS = ("content", "value", "text", "parts", "message", "utterance", "内容")
# One question and its answer as a single object of a conversation.
EXCHANGES = (
    ("human", "assistant"),
    ("user", "assistant"),
    ("human", "gpt"),
    ("input", "output"),
    ("question", "answer"),
    ("query", "response"),
    ("prompt", "response"),
    ("prompt", "completion"),
    ("instruction", "output"),
    ("用户", "助手"),
    ("问", "答"),
    ("问题", "回答"),
)
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def plain(name: str) -> str:
    """Return a name as the lists above have it: small letters, words joined by "_"."""
    return re.sub(r"[\s_-]+", "_", _WORDS.sub("_", name.strip())).casefold().strip("_")


def named(fields: list[str], choices: tuple[str, ...]) -> list[str]:
    """Return those of some fields that are called as one of `choices` says, the likeliest first."""
    by_name: dict[str, list[str]] = {}
    for field in fields:
        small = field.casefold().strip()
        for name in dict.fromkeys((small, plain(field))):
            by_name.setdefault(name, []).append(field)
    return list(dict.fromkeys(field for choice in choices for field in by_name.get(choice, ())))


def role_of(speaker: object, tags: dict[str, str]) -> str:
    """Return LLaMA-Factory's name of a role ("human", "gpt", "system", "observation", "function_call"), "" for one
    that nobody knows."""
    own = {
        tags.get("user_tag"): "human",
        tags.get("assistant_tag"): "gpt",
        tags.get("system_tag"): "system",
        tags.get("observation_tag"): "observation",
        tags.get("function_tag"): "function_call",
    }
    if not isinstance(speaker, str) or not speaker:
        return ""
    if speaker in own:
        return own[speaker]
    small = speaker.casefold().strip()
    for known, role in (
        (USERS, "human"),
        (ASSISTANTS, "gpt"),
        (SYSTEMS, "system"),
        (OBSERVATIONS, "observation"),
        (CALLS, "function_call"),
    ):
        if small in known:
            return role
    return ""

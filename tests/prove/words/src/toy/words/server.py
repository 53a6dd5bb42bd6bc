"""The reference: words counted in Python."""

from toy_proto.words.v1 import words_pb2 as contract
from toy_proto.words.v1.words_tricorn import WordsServiceBase

from tricorn.host import Host
from tricorn.wire import Call


class WordsServer(WordsServiceBase):
    def __init__(self) -> None:
        self._kept = 0

    async def count_words(self, request: contract.CountWordsRequest, call: Call) -> contract.CountWordsResponse:
        return contract.CountWordsResponse(words=len(request.text.split()))

    async def keep_word(self, request: contract.KeepWordRequest, call: Call) -> contract.KeepWordResponse:
        self._kept += 1
        return contract.KeepWordResponse(kept=self._kept)


def register(host: Host) -> None:
    host.serve(WordsServer())

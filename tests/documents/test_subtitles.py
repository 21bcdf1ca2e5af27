from streamrag_cli.documents.chunking import chunk
from tests.support.loading import loaded


def test_a_sentence_that_spans_several_subtitle_cues_is_joined() -> None:
    source = (
        "1\n00:00:02,500 --> 00:00:04,000\n<i>The iron has to be</i>\n\n2\n00:00:04,000 --> 00:00:06,000\n"
        "{\\an8}red hot before\n"
        "it is struck. Then\n\n3\n00:00:06,100 --> 00:00:09,000\nit is cooled.\n"
    )

    document = loaded("a.srt", source)

    assert document.text == "The iron has to be red hot before it is struck.\nThen it is cooled.\n"
    assert document.line_numbers == [2, 6, 6]
    assert [each.headings for each in chunk(document)] == [("00:00:02",)]


def test_webvtt_notes_styles_settings_and_rolling_repeats_are_dropped() -> None:
    source = (
        "WEBVTT\n\nNOTE hidden\nstill hidden\n\nSTYLE\n::cue { color: red }\n\nintro\n"
        "01:02.000 --> 01:04.000 align:start\n"
        "<v Ida>Strike while &amp; when\n\n01:04.000 --> 01:06.000\n<v Ida>Strike while &amp; when\n"
        "it is <c.loud>hot</c>.\n"
    )

    document = loaded("a.vtt", source)

    assert document.text == "Ida: Strike while & when it is hot.\n"
    assert [each.headings for each in chunk(document)] == [("00:01:02",)]


def test_the_name_of_a_voice_is_not_repeated_within_its_sentence() -> None:
    cues = ("<v Ida>Iron has to be", "<v Ida>red hot.", "<v Ida>Then strike,", "<v Ole>and cool it.")
    source = "WEBVTT\n\n" + "".join(
        f"00:0{n}.000 --> 00:0{n}.900\n{words}\n\n" for n, words in enumerate(cues, start=1)
    )

    assert loaded("a.vtt", source).text == "Ida: Iron has to be red hot.\nIda: Then strike,\nOle: and cool it.\n"


def test_each_chunk_of_a_long_talk_has_its_own_timestamp() -> None:
    cues = "".join(
        f"{n}\n00:{n // 60:02}:{n % 60:02},000 --> 00:{n // 60:02}:{n % 60:02},900\n"
        f"This is sentence number {n} of a talk.\n\n"
        for n in range(1, 100)
    )

    chunks = list(chunk(loaded("a.srt", cues)))

    assert len(chunks) > 8
    for each in chunks:
        first = int(each.text.split("number ")[1].split()[0])
        assert each.headings == (f"00:{first // 60:02}:{first % 60:02}",)


def test_captions_without_punctuation_are_split_at_pauses() -> None:
    cues = "1\n00:00:01,000 --> 00:00:02,000\nheat it\n\n2\n00:00:12,000 --> 00:00:13,000\nthen strike\n\n"

    assert loaded("a.srt", cues).text == "heat it\nthen strike\n"

"""Texts, numbers and names that cases are made of."""

WORDS = ["x", "Paris", "a b", "", " ", "é", "日本", "🎉", "it's", 'say "hi"', "«q»", "a\nb", "a\tb",
         "\u2028", "\x85z", "\x1cq", "None", "true", "1", "1.5", "[1]", "{}", "{a}", "[[ ## x ## ]]",
         "[[ ## o0 ## ]]", "a, b", "a: b", "```", "# no", "// no", "\\", "\\n", "\\u00e9", "<a>", "&amp;",
         "\u00a0", "\u200b", "ß", "İ", "x" * 40, "ﬁ", "²", "١٢", "\ufeff", "\x00", "\x7f", "\u0301a"]
NUMBERS = [0, 1, -1, 2, 7, 42, 2**31, 2**53 + 1, -2**63, 2**63 - 1, 1.5, -0.0, 0.1, 1e16, 1e-7,
           1e22, 123456.789, 1e300, 3.0, 1e15, 5e-324, 0.00001]
# Numbers that a reply may hold, and a request cannot.
LARGE = [float("inf"), float("-inf"), float("nan"), 10**30, -(2**64), 2**63, 2**64 - 1, 1e308]
NAMES = ["question", "answer", "o0", "o1", "context", "max_words", "camelCase", "HTMLText", "x1",
         "q_1_a", "résumé", "名前", "class_name", "text2number", "completed", "reasoning", "items",
         "score", "is_ok", "data", "URL", "value_", "k"]
DESCS = [None, None, None, "plain words", "note: x", "${o0}", "two\nlines", "  blanks  ", "é 🎉", "", "# x",
         "tab\there", "${question}", "{x}", "line\u2028end"]
INSTRUCTIONS = [None, None, None, "Answer.", "", "  lead", "First.\n\n    Second\n      third\n    ",
                "\n    Only\n    ", "Tab\tx\n\ty", "é\u2028z", "trailing   \n\n", "a\r\nb", "a\x0bb\x0cc",
                "\ta\n\t  b\n  c", "{x} [[ ## y ## ]]", "   \n  ", "a\n   b\n \tc", "x\n\u00a0y\n  z",
                "Be brief.\n\n\n- a\n  - b\n"]
# Texts of Python's classes, and some that are none.
CLASSES = {
    "datetime.datetime": ["2024-01-02T03:04:05", "2024-01-02T03:04:05Z", "2024-01-02 03:04", "2024-01-02",
                          "2024-01-02T03:04:05.123456+02:00", "1700000000"],
    "datetime.date": ["2024-01-02", "2024-01-02T00:00:00", "0"],
    "datetime.time": ["03:04:05", "03:04", "03:04:05.5", "03:04:05Z", "03:04:05+02:00"],
    "datetime.timedelta": ["PT1H", "P1DT2H3M4.5S", "1 day, 2:03:04", "3600", "1.5", "-PT5S", "1:02:03", "P1W"],
    "decimal.Decimal": ["1.50", "1e3", "-0.0", "0.1", "123456789012345678901234567890.12"],
    "uuid.UUID": ["12345678-1234-5678-1234-567812345678", "12345678123456781234567812345678",
                  "urn:uuid:12345678-1234-5678-1234-567812345678", "{12345678-1234-5678-1234-567812345678}"],
    "bytes": ["abc", "é", "", "a\\x00"],
}
NONE_OF_CLASSES = {
    "datetime.datetime": ["2024-02-30T00:00:00", "yesterday", "2024-1-2T3:4:5"],
    "datetime.date": ["2024-02-30", "2024-01-02T03:00:00", "Jan 2", "20240102"],
    "datetime.time": ["25:00", "3am", "10800"],
    "datetime.timedelta": ["soon"],
    "decimal.Decimal": ["NaN", "Infinity", "1,5", "x", "1_0"],
    "uuid.UUID": ["1234", "12345678-1234-5678-1234-56781234567g"],
}

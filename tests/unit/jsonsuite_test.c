/* The cases of nst/JSONTestSuite under its file names. A "y_" must be taken, an "n_" refused; for
 * an "i_", which RFC 8259 leaves open, the row says what we do. Where the contract is stricter than
 * the suite, it says why. */
#include <stdlib.h>
#include <string.h>

#include "unit.h"
#include "json/json.h"

enum verdict {
	TAKEN,
	REFUSED,
};

struct suite_case {
	const char *name;
	const char *text;
	size_t len;
	enum verdict verdict;
};

#define TEXT(s) (s), sizeof(s) - 1

static struct suite_case cases[] = {
	{ "y_array_arraysWithSpaces", TEXT("[[]   ]"), TAKEN },
	{ "y_array_empty-string", TEXT("[\"\"]"), TAKEN },
	{ "y_array_empty", TEXT("[]"), TAKEN },
	{ "y_array_ending_with_newline", TEXT("[\"a\"]"), TAKEN },
	{ "y_array_false", TEXT("[false]"), TAKEN },
	{ "y_array_heterogeneous", TEXT("[null, 1, \"1\", {}]"), TAKEN },
	{ "y_array_null", TEXT("[null]"), TAKEN },
	{ "y_array_with_1_and_newline", TEXT("[1\n]"), TAKEN },
	{ "y_array_with_leading_space", TEXT(" [1]"), TAKEN },
	{ "y_array_with_several_null", TEXT("[1,null,null,null,2]"), TAKEN },
	{ "y_array_with_trailing_space", TEXT("[2] "), TAKEN },
	{ "y_number", TEXT("[123e65]"), TAKEN },
	{ "y_number_0e+1", TEXT("[0e+1]"), TAKEN },
	{ "y_number_0e1", TEXT("[0e1]"), TAKEN },
	{ "y_number_after_space", TEXT("[ 4]"), TAKEN },
	{ "y_number_double_close_to_zero",
	    TEXT("[-0."
		 "000000000000000000000000000000000000000000000000000000000000000000000000000001]"),
	    TAKEN },
	{ "y_number_int_with_exp", TEXT("[20e1]"), TAKEN },
	{ "y_number_minus_zero", TEXT("[-0]"), TAKEN },
	{ "y_number_negative_int", TEXT("[-123]"), TAKEN },
	{ "y_number_negative_one", TEXT("[-1]"), TAKEN },
	{ "y_number_negative_zero", TEXT("[-0]"), TAKEN },
	{ "y_number_real_capital_e", TEXT("[1E22]"), TAKEN },
	{ "y_number_real_capital_e_neg_exp", TEXT("[1E-2]"), TAKEN },
	{ "y_number_real_capital_e_pos_exp", TEXT("[1E+2]"), TAKEN },
	{ "y_number_real_exponent", TEXT("[123e45]"), TAKEN },
	{ "y_number_real_fraction_exponent", TEXT("[123.456e78]"), TAKEN },
	{ "y_number_real_neg_exp", TEXT("[1e-2]"), TAKEN },
	{ "y_number_real_pos_exponent", TEXT("[1e+2]"), TAKEN },
	{ "y_number_simple_int", TEXT("[123]"), TAKEN },
	{ "y_number_simple_real", TEXT("[123.456789]"), TAKEN },
	{ "y_object", TEXT("{\"asd\":\"sdf\", \"dfg\":\"fgh\"}"), TAKEN },
	{ "y_object_basic", TEXT("{\"asd\":\"sdf\"}"), TAKEN },
	/* Stricter: two readers would take two values (RFC 8259 4). */
	{ "y_object_duplicated_key", TEXT("{\"a\":\"b\",\"a\":\"c\"}"), REFUSED },
	{ "y_object_duplicated_key_and_value", TEXT("{\"a\":\"b\",\"a\":\"b\"}"), REFUSED },
	{ "y_object_empty", TEXT("{}"), TAKEN },
	{ "y_object_empty_key", TEXT("{\"\":0}"), TAKEN },
	/* Stricter: a C string would end there. */
	{ "y_object_escaped_null_in_key", TEXT("{\"foo\\u0000bar\": 42}"), REFUSED },
	{ "y_object_extreme_numbers", TEXT("{ \"min\": -1.0e+28, \"max\": 1.0e+28 }"), TAKEN },
	{ "y_object_long_strings",
	    TEXT("{\"x\":[{\"id\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}], \"id\": "
		 "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}"),
	    TAKEN },
	{ "y_object_simple", TEXT("{\"a\":[]}"), TAKEN },
	{ "y_object_string_unicode",
	    TEXT("{\"title\":\"\\u041f\\u043e\\u043b\\u0442\\u043e\\u0440\\u0430 "
		 "\\u0417\\u0435\\u043c\\u043b\\u0435\\u043a\\u043e\\u043f\\u0430\" }"),
	    TAKEN },
	{ "y_object_with_newlines", TEXT("{\n\"a\": \"b\"\n}"), TAKEN },
	{ "y_string_1_2_3_bytes_UTF-8_sequences", TEXT("[\"\\u0060\\u012a\\u12AB\"]"), TAKEN },
	{ "y_string_accepted_surrogate_pair", TEXT("[\"\\uD801\\udc37\"]"), TAKEN },
	{ "y_string_accepted_surrogate_pairs", TEXT("[\"\\ud83d\\ude39\\ud83d\\udc8d\"]"), TAKEN },
	{ "y_string_allowed_escapes", TEXT("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"), TAKEN },
	{ "y_string_backslash_and_u_escaped_zero", TEXT("[\"\\\\u0000\"]"), TAKEN },
	{ "y_string_backslash_doublequotes", TEXT("[\"\\\"\"]"), TAKEN },
	{ "y_string_comments", TEXT("[\"a/*b*/c/*d//e\"]"), TAKEN },
	{ "y_string_double_escape_a", TEXT("[\"\\\\a\"]"), TAKEN },
	{ "y_string_double_escape_n", TEXT("[\"\\\\n\"]"), TAKEN },
	{ "y_string_escaped_control_character", TEXT("[\"\\u0012\"]"), TAKEN },
	{ "y_string_escaped_noncharacter", TEXT("[\"\\uFFFF\"]"), TAKEN },
	{ "y_string_in_array", TEXT("[\"asd\"]"), TAKEN },
	{ "y_string_in_array_with_leading_space", TEXT("[ \"asd\"]"), TAKEN },
	{ "y_string_last_surrogates_1_and_2", TEXT("[\"\\uDBFF\\uDFFF\"]"), TAKEN },
	{ "y_string_nbsp_uescaped", TEXT("[\"new\\u00A0line\"]"), TAKEN },
	{ "y_string_nonCharacterInUTF-8_U+10FFFF", TEXT("[\"\xf4\x8f\xbf\xbf\"]"), TAKEN },
	{ "y_string_nonCharacterInUTF-8_U+FFFF", TEXT("[\"\xef\xbf\xbf\"]"), TAKEN },
	/* Stricter: a C string would end there. */
	{ "y_string_null_escape", TEXT("[\"\\u0000\"]"), REFUSED },
	{ "y_string_one-byte-utf-8", TEXT("[\"\\u002c\"]"), TAKEN },
	{ "y_string_pi", TEXT("[\"\xcf\x80\"]"), TAKEN },
	{ "y_string_reservedCharacterInUTF-8_U+1BFFF", TEXT("[\"\xf0\x9b\xbf\xbf\"]"), TAKEN },
	{ "y_string_simple_ascii", TEXT("[\"asd \"]"), TAKEN },
	{ "y_string_space", TEXT("\" \""), TAKEN },
	{ "y_string_surrogates_U+1D11E_MUSICAL_SYMBOL_G_CLEF", TEXT("[\"\\uD834\\uDd1e\"]"),
	    TAKEN },
	{ "y_string_three-byte-utf-8", TEXT("[\"\\u0821\"]"), TAKEN },
	{ "y_string_two-byte-utf-8", TEXT("[\"\\u0123\"]"), TAKEN },
	{ "y_string_u+2028_line_sep", TEXT("[\"\xe2\x80\xa8\"]"), TAKEN },
	{ "y_string_u+2029_par_sep", TEXT("[\"\xe2\x80\xa9\"]"), TAKEN },
	{ "y_string_uEscape", TEXT("[\"\\u0061\\u30af\\u30EA\\u30b9\"]"), TAKEN },
	{ "y_string_uescaped_newline", TEXT("[\"new\\u000Aline\"]"), TAKEN },
	{ "y_string_unescaped_char_delete", TEXT("[\"\x7f\"]"), TAKEN },
	{ "y_string_unicode", TEXT("[\"\\uA66D\"]"), TAKEN },
	{ "y_string_unicodeEscapedBackslash", TEXT("[\"\\u005C\"]"), TAKEN },
	{ "y_string_unicode_2", TEXT("[\"\xe2\x8d\x82\xe3\x88\xb4\xe2\x8d\x82\"]"), TAKEN },
	{ "y_string_unicode_U+10FFFE_nonchar", TEXT("[\"\\uDBFF\\uDFFE\"]"), TAKEN },
	{ "y_string_unicode_U+1FFFE_nonchar", TEXT("[\"\\uD83F\\uDFFE\"]"), TAKEN },
	{ "y_string_unicode_U+200B_ZERO_WIDTH_SPACE", TEXT("[\"\\u200B\"]"), TAKEN },
	{ "y_string_unicode_U+2064_invisible_plus", TEXT("[\"\\u2064\"]"), TAKEN },
	{ "y_string_unicode_U+FDD0_nonchar", TEXT("[\"\\uFDD0\"]"), TAKEN },
	{ "y_string_unicode_U+FFFE_nonchar", TEXT("[\"\\uFFFE\"]"), TAKEN },
	{ "y_string_unicode_escaped_double_quote", TEXT("[\"\\u0022\"]"), TAKEN },
	{ "y_string_utf8", TEXT("[\"\xe2\x82\xac\xf0\x9d\x84\x9e\"]"), TAKEN },
	{ "y_string_with_del_character",
	    TEXT("[\"a\x7f"
		 "a\"]"),
	    TAKEN },
	{ "y_structure_lonely_false", TEXT("false"), TAKEN },
	{ "y_structure_lonely_int", TEXT("42"), TAKEN },
	{ "y_structure_lonely_negative_real", TEXT("-0.1"), TAKEN },
	{ "y_structure_lonely_null", TEXT("null"), TAKEN },
	{ "y_structure_lonely_string", TEXT("\"asd\""), TAKEN },
	{ "y_structure_lonely_true", TEXT("true"), TAKEN },
	{ "y_structure_string_empty", TEXT("\"\""), TAKEN },
	{ "y_structure_trailing_newline", TEXT("[\"a\"]\n"), TAKEN },
	{ "y_structure_true_in_array", TEXT("[true]"), TAKEN },
	{ "y_structure_whitespace_array", TEXT(" [] "), TAKEN },
	{ "n_array_1_true_without_comma", TEXT("[1 true]"), REFUSED },
	{ "n_array_a_invalid_utf8", TEXT("[a\xe5]"), REFUSED },
	{ "n_array_colon_instead_of_comma", TEXT("[\"\": 1]"), REFUSED },
	{ "n_array_comma_after_close", TEXT("[\"\"],"), REFUSED },
	{ "n_array_comma_and_number", TEXT("[,1]"), REFUSED },
	{ "n_array_double_comma", TEXT("[1,,2]"), REFUSED },
	{ "n_array_double_extra_comma", TEXT("[\"x\",,]"), REFUSED },
	{ "n_array_extra_close", TEXT("[\"x\"]]"), REFUSED },
	{ "n_array_extra_comma", TEXT("[\"\",]"), REFUSED },
	{ "n_array_incomplete", TEXT("[\"x\""), REFUSED },
	{ "n_array_incomplete_invalid_value", TEXT("[x"), REFUSED },
	{ "n_array_inner_array_no_comma", TEXT("[3[4]]"), REFUSED },
	{ "n_array_invalid_utf8", TEXT("[\xff]"), REFUSED },
	{ "n_array_items_separated_by_semicolon", TEXT("[1:2]"), REFUSED },
	{ "n_array_just_comma", TEXT("[,]"), REFUSED },
	{ "n_array_just_minus", TEXT("[-]"), REFUSED },
	{ "n_array_missing_value", TEXT("[   , \"\"]"), REFUSED },
	{ "n_array_newlines_unclosed", TEXT("[\"a\",\n4\n,1,"), REFUSED },
	{ "n_array_number_and_comma", TEXT("[1,]"), REFUSED },
	{ "n_array_number_and_several_commas", TEXT("[1,,]"), REFUSED },
	{ "n_array_spaces_vertical_tab_formfeed", TEXT("[\"\va\"\f]"), REFUSED },
	{ "n_array_star_inside", TEXT("[*]"), REFUSED },
	{ "n_array_unclosed", TEXT("[\"\""), REFUSED },
	{ "n_array_unclosed_trailing_comma", TEXT("[1,"), REFUSED },
	{ "n_array_unclosed_with_new_lines", TEXT("[1,\n1\n,1"), REFUSED },
	{ "n_array_unclosed_with_object_inside", TEXT("[{}"), REFUSED },
	{ "n_incomplete_false", TEXT("[fals]"), REFUSED },
	{ "n_incomplete_null", TEXT("[nul]"), REFUSED },
	{ "n_incomplete_true", TEXT("[tru]"), REFUSED },
	{ "n_multidigit_number_then_00", TEXT("123\x00"), REFUSED },
	{ "n_number_++", TEXT("[++1234]"), REFUSED },
	{ "n_number_+1", TEXT("[+1]"), REFUSED },
	{ "n_number_+Inf", TEXT("[+Inf]"), REFUSED },
	{ "n_number_-01", TEXT("[-01]"), REFUSED },
	{ "n_number_-1.0.", TEXT("[-1.0.]"), REFUSED },
	{ "n_number_-2.", TEXT("[-2.]"), REFUSED },
	{ "n_number_-NaN", TEXT("[-NaN]"), REFUSED },
	{ "n_number_.-1", TEXT("[.-1]"), REFUSED },
	{ "n_number_.2e-3", TEXT("[.2e-3]"), REFUSED },
	{ "n_number_0.1.2", TEXT("[0.1.2]"), REFUSED },
	{ "n_number_0.3e+", TEXT("[0.3e+]"), REFUSED },
	{ "n_number_0.3e", TEXT("[0.3e]"), REFUSED },
	{ "n_number_0.e1", TEXT("[0.e1]"), REFUSED },
	{ "n_number_0_capital_E+", TEXT("[0E+]"), REFUSED },
	{ "n_number_0_capital_E", TEXT("[0E]"), REFUSED },
	{ "n_number_0e+", TEXT("[0e+]"), REFUSED },
	{ "n_number_0e", TEXT("[0e]"), REFUSED },
	{ "n_number_1.0e+", TEXT("[1.0e+]"), REFUSED },
	{ "n_number_1.0e-", TEXT("[1.0e-]"), REFUSED },
	{ "n_number_1.0e", TEXT("[1.0e]"), REFUSED },
	{ "n_number_1_000", TEXT("[1 000.0]"), REFUSED },
	{ "n_number_1eE2", TEXT("[1eE2]"), REFUSED },
	{ "n_number_2.e+3", TEXT("[2.e+3]"), REFUSED },
	{ "n_number_2.e-3", TEXT("[2.e-3]"), REFUSED },
	{ "n_number_2.e3", TEXT("[2.e3]"), REFUSED },
	{ "n_number_9.e+", TEXT("[9.e+]"), REFUSED },
	{ "n_number_Inf", TEXT("[Inf]"), REFUSED },
	{ "n_number_NaN", TEXT("[NaN]"), REFUSED },
	{ "n_number_U+FF11_fullwidth_digit_one", TEXT("[\xef\xbc\x91]"), REFUSED },
	{ "n_number_expression", TEXT("[1+2]"), REFUSED },
	{ "n_number_hex_1_digit", TEXT("[0x1]"), REFUSED },
	{ "n_number_hex_2_digits", TEXT("[0x42]"), REFUSED },
	{ "n_number_infinity", TEXT("[Infinity]"), REFUSED },
	{ "n_number_invalid+-", TEXT("[0e+-1]"), REFUSED },
	{ "n_number_invalid-negative-real", TEXT("[-123.123foo]"), REFUSED },
	{ "n_number_invalid-utf-8-in-bigger-int", TEXT("[123\xe5]"), REFUSED },
	{ "n_number_invalid-utf-8-in-exponent", TEXT("[1e1\xe5]"), REFUSED },
	{ "n_number_invalid-utf-8-in-int", TEXT("[0\xe5]\n"), REFUSED },
	{ "n_number_minus_infinity", TEXT("[-Infinity]"), REFUSED },
	{ "n_number_minus_sign_with_trailing_garbage", TEXT("[-foo]"), REFUSED },
	{ "n_number_minus_space_1", TEXT("[- 1]"), REFUSED },
	{ "n_number_neg_int_starting_with_zero", TEXT("[-012]"), REFUSED },
	{ "n_number_neg_real_without_int_part", TEXT("[-.123]"), REFUSED },
	{ "n_number_neg_with_garbage_at_end", TEXT("[-1x]"), REFUSED },
	{ "n_number_real_garbage_after_e", TEXT("[1ea]"), REFUSED },
	{ "n_number_real_with_invalid_utf8_after_e", TEXT("[1e\xe5]"), REFUSED },
	{ "n_number_real_without_fractional_part", TEXT("[1.]"), REFUSED },
	{ "n_number_starting_with_dot", TEXT("[.123]"), REFUSED },
	{ "n_number_with_alpha", TEXT("[1.2a-3]"), REFUSED },
	{ "n_number_with_alpha_char", TEXT("[1.8011670033376514H-308]"), REFUSED },
	{ "n_number_with_leading_zero", TEXT("[012]"), REFUSED },
	{ "n_object_bad_value", TEXT("[\"x\", truth]"), REFUSED },
	{ "n_object_bracket_key", TEXT("{[: \"x\"}\n"), REFUSED },
	{ "n_object_comma_instead_of_colon", TEXT("{\"x\", null}"), REFUSED },
	{ "n_object_double_colon", TEXT("{\"x\"::\"b\"}"), REFUSED },
	{ "n_object_emoji", TEXT("{\xf0\x9f\x87\xa8\xf0\x9f\x87\xad}"), REFUSED },
	{ "n_object_garbage_at_end", TEXT("{\"a\":\"a\" 123}"), REFUSED },
	{ "n_object_key_with_single_quotes", TEXT("{key: 'value'}"), REFUSED },
	{ "n_object_lone_continuation_byte_in_key_and_trailing_comma", TEXT("{\"\xb9\":\"0\",}"),
	    REFUSED },
	{ "n_object_missing_colon", TEXT("{\"a\" b}"), REFUSED },
	{ "n_object_missing_key", TEXT("{:\"b\"}"), REFUSED },
	{ "n_object_missing_semicolon", TEXT("{\"a\" \"b\"}"), REFUSED },
	{ "n_object_missing_value", TEXT("{\"a\":"), REFUSED },
	{ "n_object_no-colon", TEXT("{\"a\""), REFUSED },
	{ "n_object_non_string_key", TEXT("{1:1}"), REFUSED },
	{ "n_object_non_string_key_but_huge_number_instead", TEXT("{9999E9999:1}"), REFUSED },
	{ "n_object_repeated_null_null", TEXT("{null:null,null:null}"), REFUSED },
	{ "n_object_several_trailing_commas", TEXT("{\"id\":0,,,,,}"), REFUSED },
	{ "n_object_single_quote", TEXT("{'a':0}"), REFUSED },
	{ "n_object_trailing_comma", TEXT("{\"id\":0,}"), REFUSED },
	{ "n_object_trailing_comment", TEXT("{\"a\":\"b\"}/**/"), REFUSED },
	{ "n_object_trailing_comment_open", TEXT("{\"a\":\"b\"}/**//"), REFUSED },
	{ "n_object_trailing_comment_slash_open", TEXT("{\"a\":\"b\"}//"), REFUSED },
	{ "n_object_trailing_comment_slash_open_incomplete", TEXT("{\"a\":\"b\"}/"), REFUSED },
	{ "n_object_two_commas_in_a_row", TEXT("{\"a\":\"b\",,\"c\":\"d\"}"), REFUSED },
	{ "n_object_unquoted_key", TEXT("{a: \"b\"}"), REFUSED },
	{ "n_object_unterminated-value", TEXT("{\"a\":\"a"), REFUSED },
	{ "n_object_with_single_string", TEXT("{ \"foo\" : \"bar\", \"a\" }"), REFUSED },
	{ "n_object_with_trailing_garbage", TEXT("{\"a\":\"b\"}#"), REFUSED },
	{ "n_single_space", TEXT(" "), REFUSED },
	{ "n_string_1_surrogate_then_escape", TEXT("[\"\\uD800\\\"]"), REFUSED },
	{ "n_string_1_surrogate_then_escape_u", TEXT("[\"\\uD800\\u\"]"), REFUSED },
	{ "n_string_1_surrogate_then_escape_u1", TEXT("[\"\\uD800\\u1\"]"), REFUSED },
	{ "n_string_1_surrogate_then_escape_u1x", TEXT("[\"\\uD800\\u1x\"]"), REFUSED },
	{ "n_string_accentuated_char_no_quotes", TEXT("[\xc3\xa9]"), REFUSED },
	{ "n_string_backslash_00", TEXT("[\"\\\x00\"]"), REFUSED },
	{ "n_string_escape_x", TEXT("[\"\\x00\"]"), REFUSED },
	{ "n_string_escaped_backslash_bad", TEXT("[\"\\\\\\\"]"), REFUSED },
	{ "n_string_escaped_ctrl_char_tab", TEXT("[\"\\\t\"]"), REFUSED },
	{ "n_string_escaped_emoji", TEXT("[\"\\\xf0\x9f\x8c\x80\"]"), REFUSED },
	{ "n_string_incomplete_escape", TEXT("[\"\\\"]"), REFUSED },
	{ "n_string_incomplete_escaped_character", TEXT("[\"\\u00A\"]"), REFUSED },
	{ "n_string_incomplete_surrogate", TEXT("[\"\\uD834\\uDd\"]"), REFUSED },
	{ "n_string_incomplete_surrogate_escape_invalid", TEXT("[\"\\uD800\\uD800\\x\"]"),
	    REFUSED },
	{ "n_string_invalid-utf-8-in-escape", TEXT("[\"\\u\xe5\"]"), REFUSED },
	{ "n_string_invalid_backslash_esc", TEXT("[\"\\a\"]"), REFUSED },
	{ "n_string_invalid_unicode_escape", TEXT("[\"\\uqqqq\"]"), REFUSED },
	{ "n_string_invalid_utf8_after_escape", TEXT("[\"\\\xe5\"]"), REFUSED },
	{ "n_string_leading_uescaped_thinspace", TEXT("[\\u0020\"asd\"]"), REFUSED },
	{ "n_string_no_quotes_with_bad_escape", TEXT("[\\n]"), REFUSED },
	{ "n_string_single_doublequote", TEXT("\""), REFUSED },
	{ "n_string_single_quote", TEXT("['single quote']"), REFUSED },
	{ "n_string_single_string_no_double_quotes", TEXT("abc"), REFUSED },
	{ "n_string_start_escape_unclosed", TEXT("[\"\\"), REFUSED },
	{ "n_string_unescaped_ctrl_char",
	    TEXT("[\"a\x00"
		 "a\"]"),
	    REFUSED },
	{ "n_string_unescaped_newline", TEXT("[\"new\nline\"]"), REFUSED },
	{ "n_string_unescaped_tab", TEXT("[\"\t\"]"), REFUSED },
	{ "n_string_unicode_CapitalU", TEXT("\"\\UA66D\""), REFUSED },
	{ "n_string_with_trailing_garbage", TEXT("\"\"x"), REFUSED },
	{ "n_structure_U+2060_word_joined", TEXT("[\xe2\x81\xa0]"), REFUSED },
	{ "n_structure_UTF8_BOM_no_data", TEXT("\xef\xbb\xbf"), REFUSED },
	{ "n_structure_angle_bracket_.", TEXT("<.>"), REFUSED },
	{ "n_structure_angle_bracket_null", TEXT("[<null>]"), REFUSED },
	{ "n_structure_array_trailing_garbage", TEXT("[1]x"), REFUSED },
	{ "n_structure_array_with_extra_array_close", TEXT("[1]]"), REFUSED },
	{ "n_structure_array_with_unclosed_string", TEXT("[\"asd]"), REFUSED },
	{ "n_structure_ascii-unicode-identifier", TEXT("a\xc3\xa5"), REFUSED },
	{ "n_structure_capitalized_True", TEXT("[True]"), REFUSED },
	{ "n_structure_close_unopened_array", TEXT("1]"), REFUSED },
	{ "n_structure_comma_instead_of_closing_brace", TEXT("{\"x\": true,"), REFUSED },
	{ "n_structure_double_array", TEXT("[][]"), REFUSED },
	{ "n_structure_end_array", TEXT("]"), REFUSED },
	{ "n_structure_incomplete_UTF8_BOM", TEXT("\xef\xbb{}"), REFUSED },
	{ "n_structure_lone-invalid-utf-8", TEXT("\xe5"), REFUSED },
	{ "n_structure_lone-open-bracket", TEXT("["), REFUSED },
	{ "n_structure_no_data", TEXT(""), REFUSED },
	{ "n_structure_null-byte-outside-string", TEXT("[\x00]"), REFUSED },
	{ "n_structure_number_with_trailing_garbage", TEXT("2@"), REFUSED },
	{ "n_structure_object_followed_by_closing_object", TEXT("{}}"), REFUSED },
	{ "n_structure_object_unclosed_no_value", TEXT("{\"\":"), REFUSED },
	{ "n_structure_object_with_comment", TEXT("{\"a\":/*comment*/\"b\"}"), REFUSED },
	{ "n_structure_object_with_trailing_garbage", TEXT("{\"a\": true} \"x\""), REFUSED },
	{ "n_structure_open_array_apostrophe", TEXT("['"), REFUSED },
	{ "n_structure_open_array_comma", TEXT("[,"), REFUSED },
	{ "n_structure_open_array_open_object", TEXT("[{"), REFUSED },
	{ "n_structure_open_array_open_string", TEXT("[\"a"), REFUSED },
	{ "n_structure_open_array_string", TEXT("[\"a\""), REFUSED },
	{ "n_structure_open_object", TEXT("{"), REFUSED },
	{ "n_structure_open_object_close_array", TEXT("{]"), REFUSED },
	{ "n_structure_open_object_comma", TEXT("{,"), REFUSED },
	{ "n_structure_open_object_open_array", TEXT("{["), REFUSED },
	{ "n_structure_open_object_open_string", TEXT("{\"a"), REFUSED },
	{ "n_structure_open_object_string_with_apostrophes", TEXT("{'a'"), REFUSED },
	{ "n_structure_open_open", TEXT("[\"\\{[\"\\{[\"\\{[\"\\{"), REFUSED },
	{ "n_structure_single_eacute", TEXT("\xe9"), REFUSED },
	{ "n_structure_single_star", TEXT("*"), REFUSED },
	{ "n_structure_trailing_#", TEXT("{\"a\":\"b\"}#{}"), REFUSED },
	{ "n_structure_uescaped_LF_before_string", TEXT("[\\u000A\"\"]"), REFUSED },
	{ "n_structure_unclosed_array", TEXT("[1"), REFUSED },
	{ "n_structure_unclosed_array_partial_null", TEXT("[ false, nul"), REFUSED },
	{ "n_structure_unclosed_array_unfinished_false", TEXT("[ true, fals"), REFUSED },
	{ "n_structure_unclosed_array_unfinished_true", TEXT("[ false, tru"), REFUSED },
	{ "n_structure_unclosed_object", TEXT("{\"asd\":\"asd\""), REFUSED },
	{ "n_structure_unicode-identifier", TEXT("\xc3\xa5"), REFUSED },
	{ "n_structure_whitespace_U+2060_word_joiner", TEXT("\xe2\x81\xa0"), REFUSED },
	{ "n_structure_whitespace_formfeed", TEXT("[\f]"), REFUSED },
	{ "i_number_double_huge_neg_exp", TEXT("[123.456e-789]"), TAKEN },
	{ "i_number_neg_int_huge_exp", TEXT("[-1e+9999]"), REFUSED },
	{ "i_number_pos_double_huge_exp", TEXT("[1.5e+9999]"), REFUSED },
	{ "i_number_real_neg_overflow", TEXT("[-123123e100000]"), REFUSED },
	{ "i_number_real_pos_overflow", TEXT("[123123e100000]"), REFUSED },
	{ "i_number_real_underflow", TEXT("[123e-10000000]"), TAKEN },
	{ "i_number_too_big_neg_int", TEXT("[-123123123123123123123123123123]"), TAKEN },
	{ "i_number_too_big_pos_int", TEXT("[100000000000000000000]"), TAKEN },
	{ "i_number_very_big_negative_int",
	    TEXT("[-237462374673276894279832749832423479823246327846]"), TAKEN },
	{ "i_object_key_lone_2nd_surrogate", TEXT("{\"\\uDFAA\":0}"), REFUSED },
	{ "i_string_1st_surrogate_but_2nd_missing", TEXT("[\"\\uDADA\"]"), REFUSED },
	{ "i_string_1st_valid_surrogate_2nd_invalid", TEXT("[\"\\uD888\\u1234\"]"), REFUSED },
	{ "i_string_UTF-16LE_with_BOM", TEXT("\xff\xfe[\x00\"\x00\xe9\x00\"\x00]\x00"), REFUSED },
	{ "i_string_UTF-8_invalid_sequence", TEXT("[\"\xe6\x97\xa5\xd1\x88\xfa\"]"), REFUSED },
	{ "i_string_UTF8_surrogate_U+D800", TEXT("[\"\xed\xa0\x80\"]"), REFUSED },
	{ "i_string_incomplete_surrogate_and_escape_valid", TEXT("[\"\\uD800\\n\"]"), REFUSED },
	{ "i_string_incomplete_surrogate_pair", TEXT("[\"\\uDd1ea\"]"), REFUSED },
	{ "i_string_incomplete_surrogates_escape_valid", TEXT("[\"\\uD800\\uD800\\n\"]"), REFUSED },
	{ "i_string_invalid_lonely_surrogate", TEXT("[\"\\ud800\"]"), REFUSED },
	{ "i_string_invalid_surrogate", TEXT("[\"\\ud800abc\"]"), REFUSED },
	{ "i_string_invalid_utf-8", TEXT("[\"\xff\"]"), REFUSED },
	{ "i_string_inverted_surrogates_U+1D11E", TEXT("[\"\\uDd1e\\uD834\"]"), REFUSED },
	{ "i_string_iso_latin_1", TEXT("[\"\xe9\"]"), REFUSED },
	{ "i_string_lone_second_surrogate", TEXT("[\"\\uDFAA\"]"), REFUSED },
	{ "i_string_lone_utf8_continuation_byte", TEXT("[\"\x81\"]"), REFUSED },
	{ "i_string_not_in_unicode_range", TEXT("[\"\xf4\xbf\xbf\xbf\"]"), REFUSED },
	{ "i_string_overlong_sequence_2_bytes", TEXT("[\"\xc0\xaf\"]"), REFUSED },
	{ "i_string_overlong_sequence_6_bytes", TEXT("[\"\xfc\x83\xbf\xbf\xbf\xbf\"]"), REFUSED },
	{ "i_string_overlong_sequence_6_bytes_null", TEXT("[\"\xfc\x80\x80\x80\x80\x80\"]"),
	    REFUSED },
	{ "i_string_truncated-utf-8", TEXT("[\"\xe0\xff\"]"), REFUSED },
	{ "i_string_utf16BE_no_BOM", TEXT("\x00[\x00\"\x00\xe9\x00\"\x00]"), REFUSED },
	{ "i_string_utf16LE_no_BOM", TEXT("[\x00\"\x00\xe9\x00\"\x00]\x00"), REFUSED },
	{ "i_structure_UTF-8_BOM_empty_object", TEXT("\xef\xbb\xbf{}"), REFUSED },
};

/* Those that are one piece over and over, all refused. */
static const struct {
	const char *name;
	const char *opening;
	const char *piece;
	unsigned times;
	const char *closing;
	unsigned closing_times;
} repeated[] = {
	{ "n_structure_100000_opening_arrays", "", "[", 100000, "", 0 },
	{ "n_structure_open_array_object", "", "[{\"\":", 50000, "\n", 1 },
	{ "i_number_huge_exp", "[0.4e00669", "9", 280, "69999999006]", 1 },
	{ "i_structure_500_nested_arrays", "", "[", 500, "]", 500 },
};

static void
the_verdict_is_ours(void **state)
{
	const struct suite_case *c = *state;
	char *text = exact_copy(c->text, c->len);
	char why[JSON_WHY_SIZE] = "";
	enum err expect = c->verdict == TAKEN ? ERR_OK : ERR_INVALID;
	struct json *root = NULL;
	struct json_raw raw;
	char *rewritten;

	assert_int_equal(json_raw_parse(text, c->len, &raw, &rewritten, why), expect);
	assert_int_equal(json_parse(text, c->len, &root, why), expect);
	free(text);
	free(rewritten);
	json_free(root);
	assert_int_equal(why[0] == '\0', c->verdict == TAKEN);
}

static struct suite_case
build_repeated(size_t i, struct buf *text)
{
	buf_init(text, 1 << 20);
	buf_adds(text, repeated[i].opening);
	for (unsigned n = 0; n < repeated[i].times; n++)
		buf_adds(text, repeated[i].piece);
	for (unsigned n = 0; n < repeated[i].closing_times; n++)
		buf_adds(text, repeated[i].closing);
	return (struct suite_case){ repeated[i].name, text->data, text->len, REFUSED };
}

static void
add(struct CMUnitTest *test, struct suite_case *c)
{
	*test = (struct CMUnitTest){ c->name, the_verdict_is_ours, NULL, NULL, c };
}

int
main(void)
{
	static struct CMUnitTest tests[COUNT_OF(cases) + COUNT_OF(repeated)];
	struct suite_case built[COUNT_OF(repeated)];
	struct buf texts[COUNT_OF(repeated)];
	int failed;

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		add(&tests[i], &cases[i]);
	for (size_t i = 0; i < COUNT_OF(repeated); i++) {
		built[i] = build_repeated(i, &texts[i]);
		add(&tests[COUNT_OF(cases) + i], &built[i]);
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (size_t i = 0; i < COUNT_OF(repeated); i++)
		buf_fini(&texts[i]);
	return failed;
}

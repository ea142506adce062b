//! The Unicode properties that a pattern may name, spelled as ECMA-262 has them: it takes no other
//! spelling, and a reader that does not know a name refuses the whole pattern.

/// The values of `General_Category`, short and long.
const CATEGORIES: &str = "C Other Cc Control Cf Format Cn Unassigned Co Private_Use L Letter LC Cased_Letter Ll \
     Lowercase_Letter Lm Modifier_Letter Lo Other_Letter Lt Titlecase_Letter Lu \
     Uppercase_Letter M Mark Mc Spacing_Mark Me Enclosing_Mark Mn Nonspacing_Mark N Number Nd \
     Decimal_Number Nl Letter_Number No Other_Number P Punctuation Pc Connector_Punctuation Pd \
     Dash_Punctuation Pe Close_Punctuation Pf Final_Punctuation Pi Initial_Punctuation Po \
     Other_Punctuation Ps Open_Punctuation S Symbol Sc Currency_Symbol Sk Modifier_Symbol Sm \
     Math_Symbol So Other_Symbol Z Separator Zl Line_Separator Zp Paragraph_Separator Zs \
     Space_Separator";

/// The values of `Script`, as far as Unicode 13 has them: readers may be older than this host.
const SCRIPTS: &str = "Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak \
     Bengali Bhaiksuki Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian \
     Caucasian_Albanian Chakma Cham Cherokee Chorasmian Common Coptic Cuneiform Cypriot \
     Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan Egyptian_Hieroglyphs Elbasan \
     Elymaic Ethiopic Georgian Glagolitic Gothic Grantha Greek Gujarati Gunjala_Gondi Gurmukhi \
     Han Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic Inherited \
     Inscriptional_Pahlavi Inscriptional_Parthian Javanese Kaithi Kannada Katakana Kayah_Li \
     Kharoshthi Khitan_Small_Script Khmer Khojki Khudawadi Lao Latin Lepcha Limbu Linear_A \
     Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean Marchen \
     Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs \
     Miao Modi Mongolian Mro Multani Myanmar Nabataean Nandinagari New_Tai_Lue Newa Nko Nushu \
     Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Old_Hungarian Old_Italic Old_North_Arabian \
     Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic Oriya Osage Osmanya \
     Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic \
     Samaritan Saurashtra Sharada Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng \
     Soyombo Sundanese Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri \
     Tamil Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Ugaritic Vai Wancho Warang_Citi \
     Yezidi Yi Zanabazar_Square";

/// Whether `\p{…}` of this name is a general category.
pub(super) fn is_category(name: &str) -> bool {
    CATEGORIES.split(' ').any(|category| category == name)
}

/// Whether `\p{…=…}` names a script or a general category.
pub(super) fn is_property(name: &str, value: &str) -> bool {
    match name {
        "General_Category" | "gc" => is_category(value),
        "Script" | "sc" | "Script_Extensions" | "scx" => {
            SCRIPTS.split(' ').any(|script| script == value)
        }
        _ => false,
    }
}

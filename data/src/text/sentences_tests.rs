use std::fs;

use proptest::prelude::*;

use super::*;

fn text_of(data: &SentenceDataset, index: usize) -> (String, Vec<i64>) {
    let Input::Tokens { length, .. } = data.input() else { panic!("no tokens") };
    let mut tokens = vec![-1; *length];
    data.read(index, SampleMut { numbers: &mut [], tokens: &mut tokens, targets: &mut [] }).unwrap();
    (data.vocabulary().decode(&tokens), tokens)
}

fn names(data: &dyn Dataset) -> Vec<String> {
    let Target::Class { names } = data.target() else { panic!("no classes") };
    names.clone()
}

fn new(path: &Path) -> Result<SentenceDataset, DataError> {
    SentenceDataset::new(Some(path), &SentenceOptions { length: 4, ..SentenceOptions::default() })
}

#[test]
fn generated_messages_are_padded_and_have_their_classes() {
    let data = SentenceDataset::open(None, &Table::new()).unwrap();
    assert_eq!((data.len(), data.test_begin()), (6_000, None));
    assert_eq!(names(&*data), CLASSES);
    assert_eq!((data.class(0), data.class(5), data.class(6_000)), (Some(0), Some(1), None));
    let mut full = 0;
    let data = SentenceDataset::new(None, &SentenceOptions::default()).unwrap();
    for index in 0..data.len() {
        let (text, tokens) = text_of(&data, index);
        let end = tokens.iter().position(|&token| token == 0).unwrap_or(tokens.len());
        assert!(end > 2 && tokens[end..].iter().all(|&token| token == 0) && !text.contains(PADDING));
        full += usize::from(end == tokens.len());
    }
    assert_eq!(full, 0, "no generated message is cut");
}

#[test]
fn folders_and_files_and_tables_give_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    };
    write("folders/cat/1.txt", "mew, mew");
    write("folders/dog/1.txt", "bark bark bark bark bark");
    write("files/cat.txt", "mew, mew\n\n");
    write("files/dog.txt", "bark bark bark bark bark\n");
    write("table.csv", "cat,\"mew, mew\"\ndog,bark bark bark bark bark\n");
    write("table.tsv", "cat\tmew, mew\r\ndog\tbark bark bark bark bark");
    for name in ["folders", "files", "table.csv", "table.tsv"] {
        let data = new(&folder.path().join(name)).unwrap();
        assert_eq!(names(&data), ["cat", "dog"], "{name}");
        assert_eq!(text_of(&data, 0).0, "mew, mew", "{name}");
        assert_eq!(text_of(&data, 1).0, "bark bark bark bark", "{name}");
        assert_eq!(text_of(&data, 0).1[3], 0, "{name}");
        let there = SentenceDataset::new(None, &SentenceOptions::default()).unwrap();
        assert!((0..there.len()).all(|index| there.identity(index) != data.identity(0)));
    }
    let wrong = |name: &str, text: &str, part: &str| {
        let error = new(&write(name, text)).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(part), "{error}");
    };
    wrong("one.tsv", "a\tx\na\ty", "\"a\" alone");
    wrong("none.tsv", "", "none");
    wrong("tab.tsv", "a\tx\n\nb y", "line 3 has no tab");
    wrong("label.tsv", "\tx", "line 1 has no label");
    wrong("three.csv", "a,x\nb,y,z", "line 2 has 3 columns");
    write("both/a/1.txt", "x");
    write("both/b.txt", "x");
    assert!(new(&folder.path().join("both")).unwrap_err().to_string().contains("remove one kind"));
    fs::create_dir(folder.path().join("empty")).unwrap();
    assert!(new(&folder.path().join("empty")).unwrap_err().to_string().contains("neither"));
}

#[test]
fn equal_texts_have_equal_identities_and_characters_work_too() {
    let rows = [("a", "x y"), ("b", "x y"), ("b", "z")].map(|(l, t)| (l.to_owned(), t.to_owned()));
    let options = SentenceOptions { tokens: TokenKind::Characters, ..SentenceOptions::default() };
    let data = SentenceDataset::of_texts(&rows, &options).unwrap();
    assert_eq!(data.identity(0), data.identity(1));
    assert_ne!(data.identity(0), data.identity(2));
    assert_eq!(data.vocabulary().tokens(), [PADDING, UNKNOWN, " ", "x", "y", "z"]);
    assert_eq!(data.vocabulary().encode("xq").unwrap(), [3, 1]);
}

proptest! {
    #[test]
    fn any_bytes_are_a_table_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), comma: bool) {
        let _ = parse_table(bytes, comma);
    }

    #[test]
    fn a_table_with_a_changed_byte_is_a_table_or_an_error(at in 0..50_usize, byte: u8, comma: bool) {
        let mut bytes = b"cat,\"mew, mew\"\ndog,bark\ncat\tmew\ndog\tbark bark bark".to_vec();
        bytes[at] = byte;
        let _ = parse_table(bytes, comma);
    }
}

use proptest::prelude::*;

use super::*;

fn parse(text: &str, options: &str) -> Result<Csv, DataError> {
    let config = toml::from_str(options).unwrap();
    Csv::parse(Path::new("table.csv"), text.as_bytes(), &config)
}

fn read(table: &Csv, index: usize) -> (Vec<f32>, Vec<f32>) {
    let mut numbers = vec![f32::NAN; table.input().numbers()];
    let mut targets = vec![f32::NAN; table.target().numbers()];
    table.read(index, SampleMut { numbers: &mut numbers, tokens: &mut [], targets: &mut targets }).unwrap();
    (numbers, targets)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

const FLOWERS: &str = "long, wide, kind\n1.5,2,tulip\n3,4e1,rose\n-5,6,tulip\n";

#[test]
fn the_last_column_is_a_class_where_it_has_text() {
    let table = parse(FLOWERS, "").unwrap();
    assert_eq!(table.input(), &Input::Numbers { names: names(&["long", "wide"]) });
    assert_eq!(table.target(), &Target::Class { names: names(&["rose", "tulip"]) });
    assert_eq!((table.len(), table.class(0), table.class(1)), (3, Some(1), Some(0)));
    assert_eq!(read(&table, 1).0, [3.0, 40.0]);
}

#[test]
fn another_delimiter_is_named() {
    for (text, shown) in [("a;b;c\n1;2;3\n", ";"), ("a\tb\n1\t2\n", "\\t"), ("1|2\n3|4\n", "|")] {
        let error = parse(text, "").unwrap_err().to_string();
        assert!(error.contains(&format!("data.options.delimiter=\"{shown}\"")), "{error}");
        let set = format!("delimiter = \"{shown}\"\nheader = false");
        assert!(parse(&text.replace(|letter: char| letter.is_alphabetic(), "7"), &set).is_ok(), "{shown}");
    }
    assert!(parse("a;b,c\n1,2\n", "").is_ok(), "a name may have one in it");
}

#[test]
fn a_target_is_classes_or_numbers() {
    let whole = "a,b\n1,10\n2,9\n3,10.0\n";
    let table = parse(whole, "").unwrap();
    assert_eq!(table.target(), &Target::Class { names: names(&["9", "10"]) });
    assert_eq!((0..3).map(|row| table.class(row)).collect::<Vec<_>>(), [Some(1), Some(0), Some(1)]);
    let table = parse(whole, "kind = \"number\"").unwrap();
    assert_eq!((table.target(), table.class(0)), (&Target::Numbers { names: names(&["b"]) }, None));
    assert_eq!(read(&table, 1), (vec![2.0], vec![9.0]));
    let table = parse("a,b\n1,0.5\n2,9\n", "").unwrap();
    assert_eq!(table.target(), &Target::Numbers { names: names(&["b"]) });
    let many: String = (0..30).map(|row| format!("{row},{row}\n")).collect();
    let table = parse(&many, "header = false\nscale = 2").unwrap();
    assert_eq!(table.target(), &Target::Numbers { names: names(&["column 2"]) });
    assert_eq!((table.len(), read(&table, 7)), (30, (vec![3.5], vec![7.0])));
    let table = parse("a,b,c\n1,2,3\n4,5,6\n", "target = [\"c\", \"a\"]").unwrap();
    assert_eq!(read(&table, 1), (vec![5.0], vec![6.0, 4.0]));
    let table = parse("a,b,c\n1,2,3\n4,5,6\n", "kind = \"none\"\nignore = [\"b\"]").unwrap();
    assert_eq!((table.target(), read(&table, 0).0), (&Target::None, vec![1.0, 3.0]));
}

#[test]
fn text_is_refused_or_one_hot() {
    let error = parse(FLOWERS, "target = \"long\"").unwrap_err().to_string();
    assert!(error.contains("`kind`") && error.contains("line 2") && error.contains("one_hot"), "{error}");
    let table = parse(FLOWERS, "target = \"long\"\ntext = \"one_hot\"").unwrap();
    assert_eq!(table.input(), &Input::Numbers { names: names(&["wide", "kind=rose", "kind=tulip"]) });
    assert_eq!(read(&table, 0), (vec![2.0, 0.0, 1.0], vec![1.5]));
}

#[test]
fn columns_can_be_a_picture() {
    let text = "a;b;c;d;label\n0;8;16;4;1\n1;1;1;1;0\n";
    let options = "delimiter = \";\"\nimage = [1, 2, 2]\nscale = 16";
    let table = parse(text, options).unwrap();
    assert_eq!(table.input(), &Input::Image { channels: 1, height: 2, width: 2 });
    assert_eq!(read(&table, 0).0, [0.0, 0.5, 1.0, 0.25]);
    assert!(
        parse(text, "delimiter = \";\"\nimage = [1, 8, 8]").unwrap_err().to_string().contains("4 numbers")
    );
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_column() {
    let error = |text: &str, options: &str| parse(text, options).unwrap_err().to_string();
    for missing in ["", "NA", "?", "NaN", " null "] {
        let message = error(&format!("a,b\n1,2\n3,4\n{missing},6\n"), "");
        assert!(message.contains("table.csv") && message.contains("line 4, column `a`"), "{message}");
    }
    assert!(error("a,b\n1,2\ninf,4\n", "").contains("line 3, column `a`: `inf`"));
    assert!(error("a,b\n1,2\n3\n", "").contains("line: 3"));
    assert!(error("a,b\n1,2\n3,x\n", "kind = \"number\"").contains("`x` is no number"));
    assert!(error("a,a\n1,2\n", "").contains("two columns have the name `a`"));
    assert!(error("", "").contains("no row"));
    assert!(error("a,b\n", "").contains("no row"));
    assert!(error("a\n1\n2\n", "").contains("0 numbers"));
    let slip = format!("a,b\n{}3,1.o\n", "1,0.5\n2,1.5\n".repeat(5));
    assert!(error(&slip, "").contains("line 12, column `b`: `1.o` is no number"), "{}", error(&slip, ""));
    assert!(parse(&slip, "kind = \"class\"").is_ok());
    assert!(error(FLOWERS, "target = \"kin\"").contains("did you mean `kind`?"));
    assert!(error(FLOWERS, "ignore = [\"kind\"]\ntarget = \"kind\"").contains("`ignore`"));
    assert!(error(FLOWERS, "target = [\"long\", \"wide\"]\nkind = \"class\"").contains("2 targets"));
    assert!(error(FLOWERS, "kind = \"none\"\ntarget = \"kind\"").contains("none"));
    for options in ["scale = 0", "delimiter = \"\\n\"", "image = [0, 1, 2]", "target = []"] {
        assert!(matches!(parse(FLOWERS, options), Err(DataError::Config(_))), "{options}");
    }
}

#[test]
fn the_same_row_has_the_same_identity_wherever_it_stands() {
    let table = parse(FLOWERS, "").unwrap();
    let turned = parse("long, wide, kind\n3,4e1,rose\n1.5,2,tulip\n", "").unwrap();
    assert_eq!(table.identity(0), turned.identity(1));
    assert_ne!(table.identity(0), table.identity(2));
}

proptest! {
    #[test]
    fn any_bytes_are_a_table_or_an_error(
        noise in prop::collection::vec(any::<u8>(), 0..200),
        text in "[a-c0-9.,;\"\n -]{0,120}",
        options in prop::sample::select(vec!["", "header = false", "text = \"one_hot\"", "kind = \"none\""]),
    ) {
        let config = toml::from_str(options).unwrap();
        for bytes in [noise, text.into_bytes()] {
            if let Ok(table) = Csv::parse(Path::new("table.csv"), &bytes, &config) {
                prop_assert!(!table.is_empty());
                for row in 0..table.len() {
                    let (numbers, targets) = read(&table, row);
                    prop_assert!(numbers.iter().chain(&targets).all(|number| number.is_finite()));
                    if let Target::Class { names } = table.target() {
                        prop_assert!(table.class(row).is_some_and(|class| class < names.len()));
                    }
                }
            }
        }
    }
}

//! The documents agree with the program.

use std::fs;
use std::path::Path;

use crate::command::Workplace;

#[test]
fn the_table_of_environments_is_the_programs_own() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/environments.md");
    let text = fs::read_to_string(path).expect("the document");
    let (_, rest) = text.split_once("<!-- table -->\n").expect("a mark");
    let (table, _) = rest.split_once("<!-- end of table -->").expect("a mark");
    let said = Workplace::new().pavlov(&["envs", "--markdown"]);
    assert!(said.success, "{}", said.err);
    assert_eq!(table, said.out, "put the output of `pavlov envs --markdown` between the marks");
}

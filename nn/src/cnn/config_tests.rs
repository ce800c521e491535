use super::*;
use crate::Precision;

#[derive(serde::Deserialize, serde::Serialize, Debug, PartialEq)]
struct File {
    cnn: CnnConfig,
    #[serde(default)]
    precision: Precision,
}

#[test]
fn files_name_a_network_or_list_layers() {
    let read = |text: &str| toml::from_str::<File>(text);
    for (name, architecture) in [
        ("nature", Architecture::Nature),
        ("impala", Architecture::Impala),
        ("minatar", Architecture::MinAtar),
    ] {
        let file = read(&format!("cnn = \"{name}\"\nprecision = \"bf16\"")).unwrap();
        assert_eq!(file, File { cnn: CnnConfig::Named(architecture), precision: Precision::Bf16 });
    }
    let file =
        read("cnn = [{ filters = 32, kernel = 8, stride = 4, padding = 2 }, { filters = 8, kernel = 3 }]");
    let layers = vec![ConvLayer::new(32, 8, 4, 2), ConvLayer::new(8, 3, 1, 0)];
    let file = file.unwrap();
    assert_eq!(file, File { cnn: CnnConfig::Layers(layers), precision: Precision::F32 });
    for file in [file, File { cnn: CnnConfig::default(), precision: Precision::F32 }] {
        let text = toml::to_string(&file).unwrap();
        assert_eq!(read(&text).unwrap(), file, "{text}");
        let json = serde_json::to_string(&file).unwrap();
        assert_eq!(serde_json::from_str::<File>(&json).unwrap(), file, "{json}");
    }

    for (text, wanted) in [
        ("cnn = \"resnet\"", "impala"),
        ("cnn = [{ filters = 32, size = 8 }]", "size"),
        ("cnn = [{ filters = 32 }]", "kernel"),
        ("cnn = 3", "list of layers"),
        ("cnn = \"nature\"\nprecision = \"f64\"", "bf16"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
}

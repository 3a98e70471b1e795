//! The program's own enums and models: read from the file, and described as pydantic does.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use dspy::{Adapter, Fields};
use programs::{Program, Registry, Runtime};
use serde_json::{Value, json};

const TEXT: &str = r#"
types:
  Mood: {enum: {HAPPY: happy, SAD: sad}}
  Size: [1, 2, 3]
  Node:
    desc: A node of a tree.
    fields:
      name: str
      mood: {type: "Mood | None", default: null, desc: How it feels}
      children: {type: "list[Node]", default: []}
  Person:
    extra: forbid
    populate_by_name: true
    fields:
      first_name: {type: str, alias: firstName, min_length: 2}
      age: {type: int, ge: 0, lt: 150}
      home: Address
  Address: {fields: {street: str, zip: {type: "Optional[str]", default: null}}}
signatures:
  main:
    inputs: {who: Person, mood: {type: Mood, default: happy}}
    outputs: {tree: Node, sizes: "list[Size]", home: "dict[str, Address]"}
"#;

fn program() -> Program {
    Registry::parse(TEXT, "x").unwrap_or_else(|e| panic!("{e}"))
}

fn fields(value: Value) -> Fields {
    serde_json::from_value(value).unwrap()
}

#[test]
fn inputs_are_held_to_the_models() {
    let program = program();
    let home = json!({"street": "High Street"});

    for (who, fits) in [
        (json!({"firstName": "Ann", "age": 5, "home": home}), true),
        (json!({"first_name": "Ann", "age": 5, "home": home}), true),
        (json!({"firstName": "A", "age": 5, "home": home}), false),
        (json!({"firstName": "Ann", "age": 150, "home": home}), false),
        (json!({"firstName": "Ann", "age": 5, "home": {}}), false),
        (json!({"firstName": "Ann", "age": 5, "home": home, "x": 1}), false),
    ] {
        assert_eq!(program.check(&fields(json!({"who": who}))).is_ok(), fits, "{who}");
    }
}

#[test]
fn the_manifest_defines_the_types_that_it_names() {
    let manifest = program().manifest();

    assert_eq!(manifest.input_schema["properties"]["who"]["$ref"], "#/$defs/Person");
    let definitions = manifest.input_schema["$defs"].as_object().unwrap();
    let names: Vec<&String> = definitions.keys().collect();
    assert_eq!(names, ["Person", "Mood", "Address"]);
    assert_eq!(definitions["Person"]["properties"]["age"]["exclusiveMaximum"], 150);
    let outputs = manifest.output_schema["$defs"].as_object().unwrap();
    assert_eq!(outputs["Size"], json!({"enum": [1, 2, 3], "title": "Size", "type": "integer"}));
    assert_eq!(manifest.signatures[0].outputs[2].ty, "dict[str, Address]");
}

/// As `TypeAdapter(Node).json_schema()` of the same class has it, keys in DSPy's order.
const NODE: &str = concat!(
    r##"must adhere to the JSON schema: {"$defs": {"Mood": {"type": "string", "enum": ["happy", "##,
    r##""sad"], "title": "Mood"}, "Node": {"type": "object", "description": "A node of a tree.""##,
    r##", "properties": {"children": {"type": "array", "default": [], "items": {"$ref": "##,
    r##""#/$defs/Node"}, "title": "Children"}, "mood": {"anyOf": [{"$ref": "#/$defs/Mood"}, "##,
    r##"{"type": "null"}], "default": null, "description": "How it feels"}, "name": {"type": "##,
    r##""string", "title": "Name"}}, "required": ["name"], "title": "Node"}}, "$ref": "##,
    r##""#/$defs/Node"}"##,
);

#[test]
fn the_model_is_told_of_them_in_pydantics_words() {
    let program = program();
    let Runtime::Native(module) = &program.runtime else { panic!("not native") };

    let messages = Adapter::default().render(&module.signature(), &[], &Fields::new()).unwrap();

    let system = messages[0].content.as_str().unwrap();
    assert!(system.contains(NODE), "{system}");
}

#[test]
fn a_schema_that_comes_with_a_model_is_shown_as_it_is() {
    let text = "types:\n  Point:\n    fields: {x: int}\n    json_schema: {type: object, title: \
                Mine, properties: {x: {type: integer}}}\nsignatures:\n  main: {inputs: [a], \
                outputs: {b: Point, c: \"list[Point]\"}}\n";
    let program = Registry::parse(text, "x").unwrap_or_else(|e| panic!("{e}"));

    let schema = program.manifest().output_schema;

    assert_eq!(schema["$defs"]["Point"]["title"], "Mine");
}

/// What DSPy 3.4.1 made of the same enums: `class Level(int, Enum)`, `class Tone(StrEnum)`.
#[test]
fn enums_take_what_their_base_takes() {
    let text = "
types:
  Level: {enum: {LOW: 1, HIGH: 2}, base: int, desc: How much.}
  Tone: {enum: {WARM: warm}, base: StrEnum}
  Share: {enum: {HALF: 0.5, ALL: 1}, base: float}
signatures:
  main:
    inputs: [question]
    outputs: {levels: 'list[Level]', tones: 'list[Tone]', shares: 'list[Share]'}
";
    let program = Registry::parse(text, "x").unwrap_or_else(|e| panic!("{e}"));
    let Runtime::Native(module) = &program.runtime else { panic!("not native") };
    let signature = module.signature();
    let read = |levels: &str, tones: &str| {
        let sections = [("levels", levels), ("tones", tones), ("shares", "[\"0.5\", 1]")];
        let section = |(name, text)| format!("[[ ## {name} ## ]]\n{text}\n");
        let reply: String = sections.map(section).concat();
        Adapter::default().parse(&signature, &reply).map_err(|it| it.message.unwrap_or_default())
    };

    let outputs = read("[\"1\", 2.0, true]", "[\"warm\"]").unwrap();
    let error = read("[\"1_0\"]", "[\"warm\"]").unwrap_err();
    let other = read("[]", "[\"WARM\"]").unwrap_err();

    assert_eq!(
        json!(outputs),
        json!({"levels": [1, 2, 1], "tones": ["warm"], "shares": [0.5, 1.0]})
    );
    assert!(error.contains("1 validation error for list[int-enum[Level]]\n0\n"), "{error}");
    assert!(error.contains("Input should be 1 or 2 [type=enum, input_value='1_0'"), "{error}");
    assert!(other.contains("1 validation error for list[str-enum[Tone]]"), "{other}");
    let system = Adapter::default().render(&signature, &[], &Fields::new()).unwrap();
    assert!(json!(system).to_string().contains("\\\"description\\\": \\\"How much.\\\""));
}

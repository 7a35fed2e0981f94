//! All presets. Adding one is adding its file and its name here; the tests see to it that the two agree and that every
//! file can be read.

use std::sync::LazyLock;

use super::error::AccessError;
use super::preset::Preset;

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        pub(super) const FILES: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("presets/", $name, ".json")))),+
        ];
    };
}

files![
    "aoss-vector",
    "bedrock-agent-invoke",
    "bedrock-batch",
    "bedrock-flow-invoke",
    "bedrock-guardrail-apply",
    "bedrock-invoke-geo-profile",
    "bedrock-invoke-global-profile",
    "bedrock-invoke-model",
    "bedrock-kb-rag",
    "bedrock-kb-retrieve",
    "cloudwatch-metrics",
    "comprehend-classify",
    "comprehend-detect",
    "comprehend-detect-entities",
    "dynamodb-read",
    "ecr-pull",
    "efs-mount",
    "featurestore-read",
    "featurestore-write",
    "forecast-query",
    "fsx-describe",
    "kendra-query",
    "kms-via-s3",
    "lex-runtime",
    "logs-write",
    "mlflow-app",
    "mlflow-tracking-admin",
    "mlflow-tracking-log",
    "mlflow-tracking-read",
    "opensearch-domain",
    "personalize-put-events",
    "personalize-recommend",
    "polly-synthesize",
    "rekognition-detect",
    "rekognition-face-search",
    "s3-prefix-read",
    "s3-prefix-write",
    "s3vectors-query",
    "sagemaker-invoke-endpoint",
    "sagemaker-training-job",
    "sagemaker-training-log-streams",
    "textract-analyze",
    "textract-analyze-async",
    "transcribe-batch",
    "transcribe-stream",
    "translate-text",
];

static CATALOGUE: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    // A file that can't be read is a preset that doesn't exist; a test reads them all.
    FILES
        .iter()
        .filter_map(|(name, text)| Preset::read(name, text).ok())
        .collect()
});

/// All presets, in order of their names.
pub fn catalogue() -> &'static [Preset] {
    &CATALOGUE
}

/// The preset of that name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    let index = CATALOGUE
        .binary_search_by(|preset| preset.name.as_str().cmp(name))
        .ok()?;
    CATALOGUE.get(index)
}

/// The preset of that name, or a refusal that says which name was probably meant.
///
/// # Errors
///
/// [`AccessError::UnknownPreset`].
pub fn find(name: &str) -> Result<&'static Preset, AccessError> {
    preset(name).ok_or_else(|| AccessError::UnknownPreset {
        name: name.to_owned(),
        nearest: nearest_of(name, CATALOGUE.iter().map(|preset| preset.name.as_str())),
    })
}

/// The name that was probably meant, when one is near enough to be a slip of the pen.
pub(super) fn nearest_of<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Longer than any name that was meant, and the comparison takes time by the product of the lengths.
    if name.len() > 2 * LONGEST_NAME {
        return None;
    }
    candidates
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Of a preset's name, in characters (as `spec.access[].preset` allows).
const LONGEST_NAME: usize = 63;

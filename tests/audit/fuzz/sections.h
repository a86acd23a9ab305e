// A text of sections as an evidence bundle that is signed and hashed as it must be, so that a
// fuzzer's bytes reach what a verifier reads behind signature and hashes. A line `--- NAME` begins
// a section:
//   --- entry        a leaf of the log, and an entry of the bundle
//   --- hidden       a leaf that is not in the bundle
//   --- payload N-K  the content that is disclosed of slot K of entry N
//   --- blob         a file that is cited
//   --- link N       a consistency proof from the head of N entries
//   --- manifest     without `files`
// What stands between two `@` is put in place: `leaf N` a leaf's hash, `blob N` a file's, `payload
// N-K` a commitment, `field NAME=VALUE` and `salt NAME` those of a field (all payloads have the
// salt `zero`), `rotated` the body that hands over to the next key; nothing is an `@`.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/keys.h"
#include "signed_bundle.h"

namespace interlock::audit {

inline constexpr std::string_view kSectionsOrigin = "log.example/main";
inline constexpr std::size_t kSectionsMax = 64;

class SectionedBundle {
 public:
  explicit SectionedBundle(std::string_view text) {
    while (!text.empty() && sections_.size() < kSectionsMax) sections_.push_back(Cut(text));
    for (const auto& [name, body] : sections_) {
      if (name == "blob") blobs_.push_back(body);
    }
  }

  static std::string Key() { return KeyOfLetter(kSectionsOrigin, 'k').verifier_key(); }

  // Nullopt: no leaf, no manifest that is JSON, or a name that no tar has.
  std::optional<std::string> Tar() {
    std::vector<bool> shown;
    for (const auto& [name, body] : sections_) {
      if (name != "entry" && name != "hidden") continue;
      leaves_.push_back(PutInPlace(body));
      shown.push_back(name == "entry");
    }
    if (leaves_.empty()) return std::nullopt;
    SignedLog log(std::string(kSectionsOrigin), leaves_);
    const SigningKey key = KeyOfLetter(kSectionsOrigin, rotated_ ? 'l' : 'k');
    const std::string note = log.Note(log.size(), key);
    BundleFiles files = {{std::string(kCheckpointName), note},
                         {std::string(kKeysName), KeysText({Key(), key.verifier_key()})},
                         {std::string(kReadmeName), std::string(BundleReadme())}};
    for (std::uint64_t i = 0; i < leaves_.size(); ++i) {
      if (!shown[i]) continue;
      files[EntryFile(i)] = leaves_[i];
      files[ProofFile(i)] = log.Proof(i, log.size(), note);
    }
    return WithRest(log, note, files);
  }

 private:
  using Section = std::pair<std::string, std::string>;

  // The text up to the next section; a first line without a name belongs to a section of no name.
  static Section Cut(std::string_view& text) {
    Section section;
    if (text.starts_with("--- ")) {
      const std::string_view line = text.substr(0, text.find('\n'));
      section.first = line.substr(4);
      text.remove_prefix(std::min(line.size() + 1, text.size()));
    }
    const std::size_t end = text.starts_with("--- ") ? 0 : text.find("\n--- ");
    section.second = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + (end == 0 ? 0 : 1));
    return section;
  }

  std::optional<std::string> WithRest(SignedLog& log, const std::string& note, BundleFiles& files) {
    std::optional<core::Json> manifest;
    for (const auto& [name, body] : sections_) {
      if (name == "blob") {
        files["blobs/" + core::Hex(core::Sha256(body))] = body;
      } else if (name.starts_with("payload ")) {
        files["payloads/" + PayloadName(name.substr(8))] = body;
      } else if (const auto old =
                     name.starts_with("link ") ? NumberIn(name.substr(5)) : std::nullopt;
                 old && *old > 0 && *old <= log.size()) {
        files["consistency/" + std::to_string(*old) + ".txt"] =
            log.Consistency(*old, log.size(), note);
      } else if (name == "manifest") {
        auto parsed = core::ParseJson(PutInPlace(body), core::kPayloadLimits);
        if (parsed.ok() && parsed->is_object()) manifest = *std::move(parsed);
      }
    }
    if (!manifest) return std::nullopt;
    return TarWithManifest(files, *std::move(manifest));
  }

  static std::optional<std::uint64_t> NumberIn(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
  }

  // "3-0" as the name of a file has it; another text as it is.
  static std::string PayloadName(const std::string& name) {
    const auto entry = NumberIn(std::string_view(name).substr(0, name.find('-')));
    const std::size_t dash = name.find('-');
    if (!entry || dash == std::string::npos) return name;
    return PaddedIndex(*entry) + name.substr(dash);
  }

  std::string PutInPlace(std::string_view text) {
    std::string out;
    while (!text.empty()) {
      const std::size_t at = text.find('@');
      out += text.substr(0, at);
      if (at == std::string_view::npos) break;
      text.remove_prefix(at + 1);
      const std::size_t end = text.find('@');
      if (end == std::string_view::npos) return out;
      out += Meant(std::string(text.substr(0, end)));
      text.remove_prefix(end + 1);
    }
    return out;
  }

  std::string Meant(const std::string& name) {
    if (name.empty()) return "@";
    const std::string salt(32, '\0');
    const std::string rest = name.substr(std::min(name.size(), name.find(' ') + 1));
    const auto number = NumberIn(rest);
    if (name == "zero") return core::Hex(salt);
    if (name == "rotated") return Rotated();
    if (name.starts_with("salt ")) return core::Hex(FieldSalt(salt, rest));
    if (name.starts_with("field ")) {
      const std::string field = rest.substr(0, rest.find('='));
      const std::string value = rest.substr(std::min(rest.size(), field.size() + 1));
      const core::Digest field_salt = FieldSalt(salt, field);
      return core::Hex(FieldCommitment(core::AsBytes(field_salt), {field, value}));
    }
    if (name.starts_with("leaf ") && number && *number < leaves_.size()) {
      return core::Hex(LeafHash(leaves_[*number]));
    }
    if (name.starts_with("blob ") && number && *number < blobs_.size()) {
      return core::Hex(core::Sha256(blobs_[*number]));
    }
    for (const auto& [section, body] : sections_) {
      if (section == name) return core::Hex(Commitment(salt, "text/plain", body));
    }
    return {};
  }

  std::string Rotated() {
    rotated_ = true;
    const SigningKey old_key = KeyOfLetter(kSectionsOrigin, 'k');
    const SigningKey new_key = KeyOfLetter(kSectionsOrigin, 'l');
    const std::string text = RotationText(old_key.verifier_key(), new_key.verifier_key());
    std::string body;
    core::JsonObjectWriter writer(body);
    writer.String("new_key", new_key.verifier_key());
    writer.String("new_signature", core::Base64(new_key.Sign(text)));
    writer.String("old_key", old_key.verifier_key());
    writer.String("old_signature", core::Base64(old_key.Sign(text)));
    writer.Close();
    return body;
  }

  std::vector<Section> sections_;
  std::vector<std::string> leaves_;
  std::vector<std::string> blobs_;
  bool rotated_ = false;
};

}  // namespace interlock::audit

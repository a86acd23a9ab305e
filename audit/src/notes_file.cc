#include "audit/notes_file.h"

#include "note_text.h"

namespace interlock::audit {
namespace {

// An empty line and then a line that is no signature begin the next note.
std::vector<std::string> Parts(std::string_view file) {
  std::vector<std::string> parts(1);
  bool has_signature = false;
  bool after_gap = false;
  while (!file.empty()) {
    const std::size_t end = file.find('\n');
    const std::string_view line =
        file.substr(0, end == std::string_view::npos ? file.size() : end + 1);
    file.remove_prefix(line.size());
    const bool is_gap = line == "\n";
    const bool is_signature = line.starts_with(kSignaturePrefix);
    if (after_gap && !is_gap && !is_signature) {
      parts.emplace_back();
      has_signature = false;
    }
    if (!(has_signature && is_gap)) parts.back() += line;
    after_gap = is_gap;
    has_signature = has_signature || is_signature;
  }
  return parts;
}

}  // namespace

NotesFile SplitNotes(std::string_view file) {
  std::vector<std::string> parts = Parts(file);
  NotesFile out;
  for (std::string& part : parts) {
    if (ReadCheckpoint(part).ok()) out.notes.push_back(std::move(part));
  }
  if (out.notes.empty()) return {{std::string(file)}, 0};
  out.torn = parts.size() - out.notes.size();
  return out;
}

}  // namespace interlock::audit

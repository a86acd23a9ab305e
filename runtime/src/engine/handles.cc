#include "engine/handles.h"

#include <algorithm>
#include <string>

namespace interlock::runtime {
namespace {

constexpr std::size_t kOutlineNameBytesMax = 24;
constexpr std::size_t kOutlineMembersMax = 64;
constexpr std::size_t kOutlineNamesMax = 128;  // of the whole outline
constexpr int kOutlineDepthMax = 8;

const std::string* HandleOf(const core::Json& value) {
  if (!value.is_object() || value.size() != 1) return nullptr;
  const auto member = value.find(std::string(kHandleKey));
  if (member == value.end() || !member->is_string()) return nullptr;
  return &member->get_ref<const std::string&>();
}

// Labels go by path, and a name with a dot spells the path of another member.
struct Names {
  bool handle = false;
  bool dotted = false;
};

void NoteNames(const core::Json& value, Names& names) {
  if (HandleOf(value) != nullptr) {
    names.handle = true;
    return;
  }
  if (!value.is_structured()) return;
  for (const auto& [name, member] : value.items()) {
    names.dotted = names.dotted || (value.is_object() && name.find('.') != std::string::npos);
    NoteNames(member, names);
  }
}

// What was put in so far must fit arguments, so that no plan makes 64 copies of a long result.
core::Status AddBytes(const core::Json& value, std::size_t& bytes) {
  bytes += core::CanonicalJson(value).size();
  if (bytes <= core::kArgsLimits.bytes_max) return core::OkStatus();
  return core::InvalidArgument("what the handles name is longer than arguments may be");
}

core::Status Expand(const Provenance& reads, core::Json& value, std::string& path,
                    std::size_t& bytes, HandleLabels& labels) {
  if (const std::string* handle = HandleOf(value); handle != nullptr) {
    if (labels.size() == kHandlesMax) return core::InvalidArgument("more than 64 handles");
    INTERLOCK_ASSIGN_OR_RETURN(HandledValue named, reads.At(*handle));
    INTERLOCK_RETURN_IF_ERROR(AddBytes(named.value, bytes));
    value = std::move(named.value);
    const auto [at, fresh] = labels.try_emplace(path, named.label);
    if (!fresh) at->second = policies::Join(at->second, named.label);
    return core::OkStatus();
  }
  if (!value.is_structured()) return core::OkStatus();
  const std::size_t length = path.size();
  std::size_t position = 0;
  for (auto& [name, member] : value.items()) {
    path.append(".").append(value.is_object() ? name : std::to_string(++position));
    INTERLOCK_RETURN_IF_ERROR(Expand(reads, member, path, bytes, labels));
    path.resize(length);
  }
  return core::OkStatus();
}

// A name that can hardly carry a sentence.
bool IsPlainName(std::string_view name) {
  return !name.empty() && name.size() <= kOutlineNameBytesMax &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_';
         });
}

// `names`: how many may still be told, as names are words that nobody has labelled.
core::Json Outline(const core::Json& value, int depth, std::size_t& names) {
  if (value.is_string()) {
    return "text of " + std::to_string(value.get_ref<const std::string&>().size()) + " bytes";
  }
  if (value.is_number()) return "number";
  if (value.is_boolean()) return "true or false";
  if (value.is_null()) return nullptr;
  if (depth == kOutlineDepthMax) return value.is_array() ? "list" : "object";
  if (value.is_array()) {
    core::Json list = {{"list", value.size()}};
    if (!value.empty()) list["first"] = Outline(value.front(), depth + 1, names);
    return list;
  }
  core::Json members = core::Json::object();
  std::size_t hidden = 0;
  for (const auto& [name, member] : value.items()) {
    if (!IsPlainName(name) || members.size() == kOutlineMembersMax || names == 0) {
      ++hidden;
    } else {
      --names;
      members[name] = Outline(member, depth + 1, names);
    }
  }
  if (hidden > 0) members["…"] = std::to_string(hidden) + " more";
  return members;
}

}  // namespace

core::StatusOr<bool> ExpandHandles(const Provenance& reads, core::Json& args,
                                   HandleLabels& labels) {
  Names names;
  NoteNames(args, names);
  if (!names.handle) return false;
  if (names.dotted) {
    return core::InvalidArgument("arguments with a handle take no member whose name has a dot");
  }
  std::string path = "args";
  std::size_t bytes = 0;
  HandleLabels found;
  INTERLOCK_RETURN_IF_ERROR(Expand(reads, args, path, bytes, found));
  labels = std::move(found);
  return true;
}

std::string FailureMessage(const core::Json& changed) {
  if (!changed.is_object() || !changed.contains("error")) return "";
  const core::Json& error = changed["error"];
  if (!error.is_object() || !error.contains("message")) return "";
  const core::Json& message = error["message"];
  return message.is_string() ? message.get<std::string>() : "";
}

core::Json OutlineOf(const core::Json& value) {
  std::size_t names = kOutlineNamesMax;
  return Outline(value, 0, names);
}

}  // namespace interlock::runtime

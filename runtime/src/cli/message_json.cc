#include "cli/message_json.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cctype>

#include "core/digest.h"

namespace interlock::runtime::cli {
namespace {

using core::Json;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::Timestamp;

// "Run.State" has values "STATE_…", "ContentView" has "CONTENT_VIEW_…".
std::string PrefixOf(const EnumDescriptor& type) {
  std::string prefix;
  for (const char c : type.name()) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isupper(byte) && !prefix.empty()) prefix += '_';
    prefix += static_cast<char>(std::toupper(byte));
  }
  return prefix + "_";
}

Json OfMessage(const Message& message) {
  if (message.GetDescriptor() != Timestamp::descriptor()) return MessageJson(message);
  Timestamp time;
  time.CopyFrom(message);
  return google::protobuf::util::TimeUtil::ToString(time);
}

Json OfText(const FieldDescriptor& field, const std::string& text) {
  return field.type() == FieldDescriptor::TYPE_BYTES ? Json(core::Hex(text)) : Json(text);
}

Json Single(const Message& message, const Reflection& reflection, const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.GetInt32(message, &field);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.GetInt64(message, &field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.GetUInt32(message, &field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.GetUInt64(message, &field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.GetDouble(message, &field);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection.GetFloat(message, &field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumText(*field.enum_type(), reflection.GetEnumValue(message, &field));
    case FieldDescriptor::CPPTYPE_STRING:
      return OfText(field, reflection.GetString(message, &field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return OfMessage(reflection.GetMessage(message, &field));
  }
  return nullptr;
}

Json ListItem(const Message& message, const Reflection& reflection, const FieldDescriptor& field,
              int i) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return OfText(field, reflection.GetRepeatedString(message, &field, i));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return OfMessage(reflection.GetRepeatedMessage(message, &field, i));
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.GetRepeatedInt32(message, &field, i);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.GetRepeatedInt64(message, &field, i);
    default:
      return nullptr;  // the package has no other lists
  }
}

// map<string, …>: other keys the package has none of.
Json OfMap(const Message& message, const Reflection& reflection, const FieldDescriptor& field) {
  Json out = Json::object();
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    const Message& item = reflection.GetRepeatedMessage(message, &field, i);
    const auto* type = item.GetDescriptor();
    const Reflection& of_item = *item.GetReflection();
    out[of_item.GetString(item, type->map_key())] = Single(item, of_item, *type->map_value());
  }
  return out;
}

Json OfField(const Message& message, const Reflection& reflection, const FieldDescriptor& field) {
  if (field.is_map()) return OfMap(message, reflection, field);
  if (!field.is_repeated()) return Single(message, reflection, field);
  Json list = Json::array();
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    list.push_back(ListItem(message, reflection, field, i));
  }
  return list;
}

// Text that is not JSON (a caller's own bytes) stays text.
Json Parsed(const std::string& text) {
  if (text.empty()) return nullptr;
  Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return value.is_discarded() ? Json(text) : value;
}

bool Left(const Message& message, const Reflection& reflection, const FieldDescriptor& field) {
  return field.has_presence() && !reflection.HasField(message, &field);
}

}  // namespace

Json MessageJson(const Message& message) {
  constexpr std::string_view kJsonSuffix = "_json";
  const Reflection& reflection = *message.GetReflection();
  Json out = Json::object();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    if (Left(message, reflection, field)) continue;
    const std::string& name = field.name();
    Json value = OfField(message, reflection, field);
    if (value.is_string() && std::string_view(name).ends_with(kJsonSuffix)) {
      out[name.substr(0, name.size() - kJsonSuffix.size())] = Parsed(value.get<std::string>());
      if (name != "entry_json") continue;
    }
    out[name] = std::move(value);
  }
  return out;
}

std::string EnumText(const EnumDescriptor& type, int number) {
  const auto* value = type.FindValueByNumber(number);
  if (value == nullptr) return std::to_string(number);
  if (number == 0) return "";
  const std::string prefix = PrefixOf(type);
  std::string text = value->name();
  if (text.starts_with(prefix)) text.erase(0, prefix.size());
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string EnumTexts(const EnumDescriptor& type) {
  std::string texts;
  for (int i = 0; i < type.value_count(); ++i) {
    if (type.value(i)->number() == 0) continue;
    texts += (texts.empty() ? "" : ", ") + EnumText(type, type.value(i)->number());
  }
  return texts;
}

int EnumNumber(const EnumDescriptor& type, const std::string& text) {
  for (int i = 0; i < type.value_count(); ++i) {
    const int number = type.value(i)->number();
    if (number != 0 && EnumText(type, number) == text) return number;
  }
  return -1;
}

}  // namespace interlock::runtime::cli

#include "kit/tool_program.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace example {
namespace {

constexpr std::size_t kInputBytesMax = 1 << 20;

std::string ReadStdin() {
  std::string text;
  char buffer[16384];
  for (std::size_t got = 0; (got = std::fread(buffer, 1, sizeof(buffer), stdin)) > 0;) {
    text.append(buffer, got);
    if (text.size() > kInputBytesMax) Die("more than 1 MiB on stdin");
  }
  return text;
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

int Print(const Answer& answer) {
  const Json shown = answer.refused()
                         ? Json{{"error", {{"code", answer.code}, {"message", answer.message}}}}
                         : answer.result;
  const std::string text = shown.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    Die("cannot write the answer");
  }
  return answer.refused() ? 1 : 0;
}

[[noreturn]] void BadArguments(std::string_view key) {
  Print(Refused("BAD_ARGUMENTS", "missing or wrong: " + std::string(key)));
  std::_Exit(1);
}

Answer Busy() { return Refused("BUSY", "the shop is busy; nothing was changed"); }

Answer Read(Database& shop, const ToolEntry& tool, const Json& args, const CallContext& call) {
  shop.BeginRead();
  Answer answer = tool.handler(shop, args, call);
  shop.Rollback();
  return answer;
}

Answer Write(Database& shop, const ToolEntry& tool, const Json& args, const CallContext& call,
             Witness witness) {
  if (!shop.BeginWrite()) return Busy();
  Answer answer = tool.handler(shop, args, call);
  if (answer.refused()) {
    shop.Rollback();
    if (witness == nullptr || !shop.BeginWrite()) return answer;
  }
  if (witness != nullptr) witness(shop, args, call, answer);
  const bool committed = shop.Commit();
  return committed || answer.refused() ? answer : Busy();
}

}  // namespace

Answer Done(Json result) { return {std::move(result), "", ""}; }

Answer Refused(std::string code, std::string message) {
  return {nullptr, std::move(code), std::move(message)};
}

int RunTool(int argc, char** argv, const std::map<std::string_view, ToolEntry>& tools,
            Witness witness) {
  const auto tool = argc == 2 ? tools.find(argv[1]) : tools.end();
  if (tool == tools.end()) Die("usage: " + std::string(argv[0]) + " TOOL <ARGUMENTS.json");
  const std::string path = Environment("SHOP_DB");
  if (path.empty()) Die("SHOP_DB is not set");
  const Json args = Json::parse(ReadStdin(), nullptr, /*allow_exceptions=*/false);
  if (!args.is_object()) return Print(Refused("BAD_ARGUMENTS", "stdin is not one JSON object"));
  const CallContext call{std::string(tool->first), Environment("INTERLOCK_CALL_ID"),
                         Environment("INTERLOCK_IDEMPOTENCY_KEY")};
  Database shop(path);
  const ToolEntry& entry = tool->second;
  if (entry.access == Access::kManual) return Print(entry.handler(shop, args, call));
  return Print(entry.access == Access::kRead ? Read(shop, entry, args, call)
                                             : Write(shop, entry, args, call, witness));
}

std::string TextArg(const Json& args, std::string_view key) {
  const auto found = args.find(key);
  if (found == args.end() || !found->is_string()) BadArguments(key);
  return found->get<std::string>();
}

std::int64_t IntArg(const Json& args, std::string_view key) {
  const auto found = args.find(key);
  if (found == args.end() || !found->is_number_integer()) BadArguments(key);
  return found->get<std::int64_t>();
}

std::vector<std::string> TextListArg(const Json& args, std::string_view key) {
  const auto found = args.find(key);
  if (found == args.end() || !found->is_array()) BadArguments(key);
  std::vector<std::string> texts;
  for (const Json& element : *found) {
    if (!element.is_string()) BadArguments(key);
    texts.push_back(element.get<std::string>());
  }
  return texts;
}

}  // namespace example

// recorded-tool TOOL <ARGUMENTS.json: answers as that tool did when RECORDED was written, a JSON
// list of
// {"tool","args","result"} or {"tool","args","error"}. Does nothing else.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

namespace {

using Json = nlohmann::json;

int Refuse(const char* code, const std::string& message) {
  std::cout << Json{{"error", {{"code", code}, {"message", message}}}}.dump() << '\n';
  return 1;
}

Json Read(std::istream& in) {
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

}  // namespace

int main(int argc, char** argv) {
  const char* path = std::getenv("RECORDED");
  if (argc != 2 || path == nullptr) return Refuse("USAGE", "recorded-tool TOOL, with RECORDED set");
  const Json args = Read(std::cin);
  std::ifstream file(path, std::ios::binary);
  const Json recorded = Read(file);
  if (!args.is_object() || !recorded.is_array()) {
    return Refuse("BAD_RECORD", "arguments and record must be JSON");
  }
  for (const Json& one : recorded) {
    if (!one.is_object() || one.value("tool", Json()) != argv[1] ||
        one.value("args", Json()) != args)
      continue;
    if (one.contains("error")) return Refuse("TOOL_ERROR", one["error"].dump());
    std::cout << one.value("result", Json()).dump() << '\n';
    return 0;
  }
  return Refuse("NOT_RECORDED", "nobody recorded such a call");
}

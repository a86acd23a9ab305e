#include "curl_floor.h"

#include <curl/curl.h>

#include <vector>

#include "core/check.h"
#include "core/json.h"
#include "stack.h"

namespace interlock::bench {
namespace {

constexpr const char* kTools = R"([{"type":"function","function":{"name":"add",
  "description":"Adds two numbers.","parameters":{"type":"object","required":["a","b"],
  "properties":{"a":{"type":"integer"},"b":{"type":"integer"}}}}}])";

struct Conversation {
  CURL* transfer = nullptr;
  core::Json request;
  std::string out;
  std::string in;
};

std::size_t Receive(char* data, std::size_t size, std::size_t count, void* conversation) {
  static_cast<Conversation*>(conversation)->in.append(data, size * count);
  return size * count;
}

class Floor {
 public:
  Floor(const std::string& base_url, std::string model, int in_flight, int runs)
      : model_(std::move(model)), left_(runs), multi_(curl_multi_init()) {
    headers_ = curl_slist_append(nullptr, "Content-Type: application/json");
    headers_ = curl_slist_append(headers_, "Expect:");
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(in_flight));
    conversations_.resize(static_cast<std::size_t>(in_flight));
    const std::string url = base_url + "/chat/completions";
    for (Conversation& conversation : conversations_) {
      CURL* transfer = conversation.transfer = curl_easy_init();
      curl_easy_setopt(transfer, CURLOPT_URL, url.c_str());
      curl_easy_setopt(transfer, CURLOPT_HTTPHEADER, headers_);
      curl_easy_setopt(transfer, CURLOPT_WRITEFUNCTION, Receive);
      curl_easy_setopt(transfer, CURLOPT_WRITEDATA, &conversation);
      curl_easy_setopt(transfer, CURLOPT_PRIVATE, &conversation);
      curl_easy_setopt(transfer, CURLOPT_NOSIGNAL, 1L);
      curl_easy_setopt(transfer, CURLOPT_TCP_NODELAY, 1L);
      Begin(conversation);
    }
  }
  ~Floor() {
    for (const Conversation& conversation : conversations_)
      curl_easy_cleanup(conversation.transfer);
    curl_multi_cleanup(multi_);
    curl_slist_free_all(headers_);
  }
  Floor(const Floor&) = delete;
  Floor& operator=(const Floor&) = delete;

  double Run() {
    while (open_ > 0) {
      int running = 0;
      curl_multi_perform(multi_, &running);
      bool any = false;
      int queued = 0;
      while (const CURLMsg* message = curl_multi_info_read(multi_, &queued)) {
        any = true;
        INTERLOCK_CHECK(message->data.result == CURLE_OK);
        Conversation* conversation = nullptr;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &conversation);
        curl_multi_remove_handle(multi_, conversation->transfer);
        ++steps_;
        --open_;
        GoOn(*conversation);
      }
      if (!any && open_ > 0) curl_multi_poll(multi_, nullptr, 0, 1'000, nullptr);
    }
    return steps_;
  }

 private:
  void Begin(Conversation& conversation) {
    if (left_ == 0) return;
    --left_;
    conversation.request = {
        {"model", model_},
        {"messages", core::Json::array({{{"role", "user"}, {"content", "What is 1 + 2?"}}})},
        {"tools", tools_}};
    Send(conversation);
  }

  void Send(Conversation& conversation) {
    conversation.out = conversation.request.dump();
    conversation.in.clear();
    curl_easy_setopt(conversation.transfer, CURLOPT_POSTFIELDS, conversation.out.data());
    curl_easy_setopt(conversation.transfer, CURLOPT_POSTFIELDSIZE,
                     static_cast<long>(conversation.out.size()));
    curl_multi_add_handle(multi_, conversation.transfer);
    ++open_;
  }

  void GoOn(Conversation& conversation) {
    core::Json message = core::Json::parse(conversation.in)["choices"][0]["message"];
    core::Json& messages = conversation.request["messages"];
    const core::Json calls = message.value("tool_calls", core::Json::array());
    messages.push_back(std::move(message));
    if (calls.empty()) return Begin(conversation);
    for (const core::Json& call : calls) {
      const core::Json args =
          core::Json::parse(call["function"]["arguments"].get_ref<const std::string&>());
      const int sum = args["a"].get<int>() + args["b"].get<int>();
      messages.push_back(
          {{"role", "tool"}, {"tool_call_id", call["id"]}, {"content", std::to_string(sum)}});
    }
    Send(conversation);
  }

  const std::string model_;
  const core::Json tools_ = core::Json::parse(kTools);
  int left_;
  int open_ = 0;
  double steps_ = 0;
  CURLM* multi_;
  curl_slist* headers_ = nullptr;
  std::vector<Conversation> conversations_;
};

}  // namespace

FloorFigures RunFloor(const std::string& base_url, const std::string& model, int in_flight,
                      int runs) {
  Floor floor(base_url, model, in_flight, runs);
  const double cpu_before = CpuSeconds();
  const auto start = SteadyClock::now();
  FloorFigures figures;
  figures.steps = floor.Run();
  figures.wall_us = SecondsSince(start) * 1e6 / figures.steps;
  figures.cpu_us = (CpuSeconds() - cpu_before) * 1e6 / figures.steps;
  return figures;
}

}  // namespace interlock::bench

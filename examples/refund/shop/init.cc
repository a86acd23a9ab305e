// refund_shop_init SHOP.sql OUT.db: makes the example's shop. OUT.db must not exist.
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

#include "kit/database.h"

int main(int argc, char** argv) {
  if (argc != 3) example::Die("usage: refund_shop_init SHOP.sql OUT.db");
  if (access(argv[2], F_OK) == 0) example::Die(std::string(argv[2]) + " exists");
  std::ifstream file(argv[1], std::ios::binary);
  const std::string sql((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (sql.empty()) example::Die(std::string("cannot read ") + argv[1]);
  example::Database(argv[2], example::OpenMode::kCreate).Script(sql);
  return 0;
}

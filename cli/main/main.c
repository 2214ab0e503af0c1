/* The program: everything is in cli/cli.c, so that tests can link it. */
#include "cli/cli.h"

int main(int argc, char **argv) {
  return tly_cli_main(argc, argv);
}

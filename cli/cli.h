/* cli/cli.h -- the command line: one table of commands, each with its help.
 *
 * Data goes to stdout, talk to stderr. Exit codes: 0 ok, 1 failed, 2 usage.
 * Thread: main. */
#ifndef TLY_CLI_CLI_H
#define TLY_CLI_CLI_H

int tly_cli_main(int argc, char **argv);

#endif

package cmdline

import "strings"

// ModuleParams returns the parameters of loadable modules: for every word
// "module.option" or "module.option=value", the module's name with '-' as '_',
// and its options in order, such as "mode=1 primary=eth0", quoted as
// finit_module(2) takes them.
//
// Words that begin with "rambox." are not for modules. Other names with a dot,
// such as sysctl.kernel.panic, are kept: no module is called sysctl, so nobody
// asks for them. An option that [Quote] cannot write is left out.
func (a Args) ModuleParams() map[string]string {
	params := map[string]string{}
	for _, arg := range a.Words {
		module, option, _ := strings.Cut(arg.Name, ".")
		if module == "" || option == "" || module == "rambox" {
			continue
		}
		arg.Name = option
		quoted, ok := Quote(arg.String())
		if !ok {
			continue
		}
		module = strings.ReplaceAll(module, "-", "_")
		if before := params[module]; before != "" {
			quoted = before + " " + quoted
		}
		params[module] = quoted
	}
	return params
}

// Passed returns the arguments, without argv[0], and the environment that the
// kernel gives init (unknown_bootoption and set_init_arg, init/main.c, v6.12).
// The environment starts with HOME=/ and TERM=linux, and a later value of the
// same name takes the place of the earlier one; here '-' and '_' differ. init=
// and rdinit= drop the arguments before them. Names with a dot go nowhere.
//
// known reports whether the kernel itself takes a word; nil stands for a kernel
// that takes none but init= and rdinit=. It is given the word with '-' in its
// name as '_', and should tell "root=" from "root", which the kernel does not
// take. v6.12 passes BOOT_IMAGE= on; later kernels (of the stable ones, 6.1.192
// and 6.12.117) keep it, as they do every name that begins with "kexec".
//
// With the usual CONFIG_INIT_ENV_ARG_LIMIT of 32, a kernel panics rather than
// pass on more than 32 arguments or 33 variables, HOME and TERM among them.
// Passed returns them all.
func (a Args) Passed(known func(Arg) bool) (argv, env []string) {
	env = []string{"HOME=/", "TERM=linux"}
	for _, arg := range a.Words {
		canonical := arg
		canonical.Name = strings.ReplaceAll(arg.Name, "-", "_")
		switch {
		case arg.HasValue && (arg.Name == "init" || arg.Name == "rdinit"):
			argv = nil // init_setup and rdinit_setup
		case strings.Contains(arg.Name, "."):
		case known != nil && known(canonical):
		case arg.HasValue:
			env = setVariable(env, arg)
		default:
			argv = append(argv, arg.Name)
		}
	}
	return append(argv, a.Init...), env
}

func setVariable(env []string, arg Arg) []string {
	for i, variable := range env {
		if strings.HasPrefix(variable, arg.Name+"=") {
			env[i] = arg.String()
			return env
		}
	}
	return append(env, arg.String())
}

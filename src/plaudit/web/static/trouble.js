// A page that says what went wrong.
import { openPage } from "./header.js";

openPage("troubleTitle");
